"""Effective ranks, the exponent of the tail, and the ranks of changes, each against numbers known beforehand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kaibo.chapters.diff.change_spectra import change_spectra, rank_above
from kaibo.chapters.spectrum.effective_ranks import by_level, spectra
from kaibo.chapters.spectrum.gaussian_matrix import gaussian
from kaibo.chapters.spectrum.powerlaw import TailFit, fit_tail, tail_p_value
from kaibo.chapters.spectrum.singular_values import entropy_rank, measures_of
from kaibo.chapters.spectrum.tails import tails
from kaibo.errors import UsageError
from kaibo.vocabulary import Row, Spectrum, SpectrumRow

positive = hnp.arrays(np.float64, st.integers(1, 50), elements=st.floats(1e-3, 1e3))


def known(values: np.ndarray, rows: int | None = None, columns: int | None = None) -> Spectrum:
    values = np.sort(np.asarray(values, float))[::-1]
    top = float(values[0]) if values.size else 0.0
    return Spectrum(rows or values.size, columns or values.size, "exact", values, 1e-15 * top, float((values**2).sum()))


def row(spectrum: Spectrum | None, tensor: str = "layers.0.w", why: str = "", **more: object) -> SpectrumRow:
    of = Row("m", "id", tensor, 0, "mlp.up", "BF16", (4, 4), tensor, None)
    return SpectrumRow(of, None, spectrum, why, **more)  # type: ignore[arg-type]


def of(matrix: np.ndarray) -> Spectrum:
    return known(np.linalg.svd(matrix, compute_uv=False), *matrix.shape)


@given(positive, st.floats(1e-100, 1e100))
def test_ranks_lie_in_their_order_and_do_not_depend_on_the_scale(values: np.ndarray, scale: float) -> None:
    found, again = measures_of(known(values)), measures_of(known(values * scale))
    assert found.stable_rank is not None
    assert found.entropy_rank is not None
    assert found.erank is not None
    assert 1 <= found.stable_rank <= found.entropy_rank * (1 + 1e-9) <= found.erank * (1 + 1e-8)
    assert found.erank <= values.size * (1 + 1e-9)
    assert found.rank90 is not None
    assert found.rank99 is not None
    assert 1 <= found.rank90 <= found.rank99 <= values.size
    assert again.stable_rank == pytest.approx(found.stable_rank)
    assert again.entropy_rank == pytest.approx(found.entropy_rank)
    assert again.spectral_norm == pytest.approx(found.spectral_norm * scale)


def test_ranks_of_equal_values_are_their_number_and_of_one_value_one() -> None:
    found = measures_of(known(np.full(8, 3.0)))
    assert [found.stable_rank, found.entropy_rank, found.erank, found.rank90, found.rank99] == pytest.approx(
        [8, 8, 8, 8, 8]
    )
    single = measures_of(known(np.array([2.0, 0.0, 0.0])))
    assert [single.stable_rank, single.entropy_rank, single.rank99] == pytest.approx([1, 1, 1])
    assert single.alpha is None
    assert "fewer than 10" in single.why["alpha"]


def test_the_ranks_hold_the_energy_that_they_say() -> None:
    values = np.random.default_rng(0).gamma(1, size=60)
    found, squares = measures_of(known(values)), np.sort(values**2)[::-1]
    for rank, share in ((found.rank90, 0.9), (found.rank99, 0.99)):
        assert rank is not None
        assert squares[:rank].sum() >= share * squares.sum() > squares[: rank - 1].sum()


@given(positive)
def test_entropy_rank_is_the_exponential_of_the_entropy(weights: np.ndarray) -> None:
    shares = weights / weights.sum()
    assert np.log(entropy_rank(weights)) == pytest.approx(-np.sum(shares * np.log(shares)), abs=1e-9)


@pytest.mark.parametrize("whole", [200, 4000])
def test_intervals_of_a_spectrum_known_in_part_hold_the_true_ranks(whole: int) -> None:
    values = np.arange(1, whole + 1.0) ** -0.4
    full = measures_of(known(values))
    part = measures_of(Spectrum(whole, whole, "randomised", values[:50], 0.01, float((values**2).sum())))
    assert part.entropy_rank is None
    assert "largest" in part.why["entropy_rank"]
    for name in ("entropy_rank", "rank90", "rank99"):
        low, high = part.intervals[name]
        assert low <= getattr(full, name) <= high
    assert part.stable_rank == pytest.approx(full.stable_rank)
    assert part.intervals["spectral_norm"] == pytest.approx((1, np.hypot(1, 0.01)))


def test_gaussian_matrices_stay_below_their_limit_about_99_times_in_100() -> None:
    random = np.random.default_rng(0)
    draws, beyond, norms, entropies = 400, 0, [], []
    for _ in range(draws):
        found = measures_of(of(random.normal(size=(40, 60))))
        beyond += found.above or 0
        norms.append(found.spectral_norm / found.gaussian_norm)  # type: ignore[operator]
        entropies.append(found.entropy_rank / found.gaussian_entropy_rank)  # type: ignore[operator]
    assert beyond <= 12
    assert np.mean(norms) == pytest.approx(0.97, abs=0.02)
    assert np.mean(entropies) == pytest.approx(1, abs=0.01)
    assert gaussian(40, 60, 1.0).stable_rank == pytest.approx(40 * 60 / (40**0.5 + 60**0.5) ** 2)


@pytest.mark.parametrize("seed", range(4))
def test_the_exponent_is_that_of_the_powerlaw_package(seed: int) -> None:
    powerlaw = pytest.importorskip("powerlaw", reason="needs the extra dev")
    random = np.random.default_rng(seed)
    matrix = random.standard_t(3, size=(60, 90)) if seed % 2 else random.pareto(1.5, size=(50, 50))
    eigenvalues = np.linalg.svd(matrix, compute_uv=False) ** 2
    found = fit_tail(eigenvalues)
    assert found is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package warns of its own divisions
        peer = powerlaw.Fit(eigenvalues, verbose=0, parameter_ranges={"alpha": [1.0001, 1000]})
    assert found.alpha == pytest.approx(peer.power_law.alpha, rel=1e-9)
    assert found.xmin == pytest.approx(peer.xmin)
    assert found.distance == pytest.approx(peer.power_law.D, rel=1e-9)
    assert found.error == pytest.approx(peer.power_law.standard_err, rel=1e-9)


def test_the_exponent_that_made_the_numbers_is_found_and_its_p_value_says_so() -> None:
    random = np.random.default_rng(1)
    drawn = (1 - random.random(1500)) ** (-1 / 1.5)  # α = 2.5 from one on
    found = fit_tail(drawn)
    assert found is not None
    assert abs(found.alpha - 2.5) < 4 * found.error
    assert tail_p_value(drawn[:200], fit_tail(drawn[:200]), 40) > 0.1  # type: ignore[arg-type]
    forced = TailFit(2.0, 0.1, 1.0, 200, 0.25)  # a tail that lies this far from its data
    assert tail_p_value(np.linspace(1, 2, 200), forced, 20) == 0


@pytest.mark.parametrize("values", [np.ones(40), np.arange(1, 10.0), np.zeros(0), np.zeros(30)])
def test_too_few_or_equal_values_have_no_exponent(values: np.ndarray) -> None:
    assert fit_tail(values) is None


def test_what_has_no_value_has_a_reason_and_no_nan_anywhere() -> None:
    broken = Spectrum(4, 4, "none", np.zeros(0), 0.0, 3.0, nonfinite=2)
    rows = [row(None, "norm", "a vector, not a matrix"), row(broken), row(known(np.zeros(4))), row(known(np.ones(1)))]
    for record in spectra(rows).records():
        for name, value in record.items():
            assert value == value  # no NaN
            if value is None and name not in ("part", "why", "seen"):
                assert record["why"][name]
    first, second, third, _ = spectra(rows).records()
    assert first["why"]["alpha"] == "a vector, not a matrix"
    assert second["why"]["stable_rank"] == "2 of its values are NaN or infinite"
    assert third["spectral_norm"] == 0.0
    assert third["why"]["stable_rank"] == "all its values are zero"


def test_levels_are_medians_and_an_unknown_one_is_refused() -> None:
    finding = spectra([row(known(np.arange(1, 20.0) * k), f"w{k}") for k in (1, 2, 9)])
    (level,) = by_level(finding, "role").rows
    assert (level.key, level.matrices, level.spectral_norm) == ("mlp.up", 3, 38.0)
    with pytest.raises(UsageError, match="no level"):
        by_level(finding, "tensor")


def test_tails_keep_the_matrices_with_the_smallest_exponents() -> None:
    random = np.random.default_rng(0)
    rows = [row(of(random.standard_t(2.2 + k, size=(40, 40))), f"w{k}") for k in range(8)]
    found = tails(rows, 3).rows
    alphas = sorted(one.alpha for one in spectra(rows).rows if one.alpha is not None)
    assert [one.alpha for one in found] == alphas[:3]
    assert found[0].points[0][0] == pytest.approx(rows[int(found[0].tensor[1])].spectrum.values[0] ** 2)  # type: ignore[union-attr]


@pytest.mark.parametrize("size", [2e-2, 2e-3, 4e-4])
@pytest.mark.parametrize("rank", [1, 8])
def test_a_low_rank_change_shows_its_rank_through_the_rounding_of_storing_it(size: float, rank: int) -> None:
    random = np.random.default_rng(rank)
    step = 2.0**-14
    weights = np.round(random.normal(size=(128, 96)) * 0.02 / step) * step
    change = random.normal(size=(128, rank)) @ random.normal(size=(rank, 96)) * size / rank**0.5
    stored = np.round((weights + change) / step) * step - weights
    (found,) = change_spectra([row(of(stored), noise=step / 12**0.5)], "base").rows
    assert (found.rank, found.low_rank, found.said) == (rank, True, f"rank {rank} (numerically)")
    assert found.rest == pytest.approx(step / 12**0.5, rel=0.15)
    assert found.energy is not None
    assert found.energy > 0.5


def test_a_dense_change_is_never_called_low_in_rank() -> None:
    random = np.random.default_rng(0)
    step = 2.0**-14
    called = 0
    for size in np.geomspace(0.05, 50, 60) * step:
        stored = np.round(random.normal(size=(64, 48)) * size / step) * step
        if stored.any():
            (found,) = change_spectra([row(of(stored), noise=step / 12**0.5)], "base").rows
            called += bool(found.low_rank)
    assert called == 0


def test_no_change_has_rank_zero() -> None:
    (found,) = change_spectra([row(known(np.zeros(4)), noise=1e-5)], "base").rows
    assert (found.rank, found.said) == (0, "no change")
    assert rank_above(known(np.array([5.0, 1.0])), 0.0).rank == 2
