"""Fine-tunes of one base beside each other, against the same numbers from numpy in float64."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import kaibo
from kaibo.chapters.diff.differences import resolution
from kaibo.chapters.fine_tunes.rows import FineTune
from kaibo.counting import Workspace, count_span
from kaibo.errors import UsageError
from kaibo.testing.arrays import array_tensor
from kaibo.testing.models import encode, write_safetensors

SHAPES = {f"model.layers.{layer}.mlp.{name}_proj.weight": (12, 16) for layer in (0, 1) for name in ("up", "down")}
DATA, SEEDS, RATE = ("D0", "D1"), ("1", "2", "3"), 1e-4

Weights = dict[str, np.ndarray]


def written(folder: Path, weights: Weights) -> str:
    folder.mkdir()
    contents = {name: ("F32", value.shape, encode("F32", value)) for name, value in weights.items()}
    write_safetensors(folder / "model.safetensors", contents)
    return str(folder)


def moved(weights: Weights, random: np.random.Generator, sigma: float) -> Weights:
    """The weights and a change of rank two."""
    out = {}
    for name, value in weights.items():
        change = random.standard_normal((value.shape[0], 2)) @ random.standard_normal((2, value.shape[1]))
        out[name] = (value + sigma * change).astype(np.float32)
    return out


class Family:
    """A base, SFT and DPO of it on two data sets under three seeds, and DPO on top of each SFT of the first data."""

    def __init__(self, folder: Path) -> None:
        random = np.random.default_rng(5)
        self.base = {name: (0.02 * random.standard_normal(shape)).astype(np.float32) for name, shape in SHAPES.items()}
        base = written(folder / "base", self.base)
        self.weights: dict[str, Weights] = {base: self.base}
        self.tuned: list[FineTune] = []
        for method, data, seed in product(("sft", "dpo"), DATA, SEEDS):
            self._add(folder, FineTune("", base, base, method, RATE, data, seed), random)
        for one in [one for one in self.tuned if one.method == "sft" and one.dataset == "D0"]:
            self._add(folder, FineTune("", base, one.address, "dpo", RATE, "D0", one.seed, "sft"), random)

    def _add(self, folder: Path, one: FineTune, random: np.random.Generator) -> None:
        weights = moved(self.weights[one.parent], random, 1e-3 if one.method == "sft" else 5e-4)
        address = written(folder / f"{one.way}-{one.dataset}-{one.seed}", weights)
        self.weights[address] = weights
        rest = (one.method, one.learning_rate, one.dataset, one.seed, one.after)
        self.tuned.append(FineTune(address, one.base, one.parent, *rest))

    def change(self, one: FineTune, against: str) -> np.ndarray:
        """What changed, as one float64 vector of differences formed in float32."""
        parts = [self.weights[one.address][name] - self.weights[against][name] for name in SHAPES]
        return np.concatenate([part.ravel() for part in parts]).astype(np.float64)

    def of(self, way: str) -> dict[tuple[str, str], FineTune]:
        return {(one.dataset, one.seed): one for one in self.tuned if one.way == way}


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Family:
    return Family(tmp_path_factory.mktemp("family"))


@pytest.fixture(scope="module")
def found(family: Family, tmp_path_factory: pytest.TempPathFactory) -> kaibo.results.FineTunes:
    return kaibo.questions.fine_tunes(family.tuned, settings=kaibo.Settings(store=tmp_path_factory.mktemp("store")))


def test_norms_stand_against_the_base_and_the_parent(family: Family, found: kaibo.results.FineTunes) -> None:
    by_address = {one.address: one for one in family.tuned}
    assert len(found.norms.rows) == len(family.tuned) + 3
    for row in found.norms.rows:
        one = by_address[row.tuned]
        change = family.change(one, one.base if row.against == "base" else one.parent)
        assert row.l1 == pytest.approx(np.abs(change).sum(), rel=1e-12)
        assert row.l2 == pytest.approx(np.linalg.norm(change), rel=1e-12)
        assert (row.cell, row.n) == (one.cell, change.size)


def test_the_resolution_of_bfloat16_is_the_mean_error_of_rounding_to_it(
    family: Family, found: kaibo.results.FineTunes
) -> None:
    whole = np.concatenate([value.ravel() for value in family.base.values()]).astype(np.float64)
    steps = 2.0 ** (np.frexp(np.abs(whole))[1] - 8)
    assert found.norms.rows[0].bf16_l1 == pytest.approx(steps.sum() / 4)
    assert found.norms.rows[0].bf16_l2 == pytest.approx(math.sqrt((steps**2).sum() / 12))
    values = np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    census = count_span(array_tensor("F32", encode("F32", values)), 0, values.size, Workspace()).census
    error = np.abs((encode("BF16", values).astype(np.uint32) << 16).view(np.float32) - values).sum()
    assert resolution([census], "BF16").l1 == pytest.approx(error, rel=0.03)
    assert resolution([census]) == resolution([census], "F32")


def test_pairs_of_a_cell_say_in_what_they_differ(family: Family, found: kaibo.results.FineTunes) -> None:
    by_address = {one.address: one for one in family.tuned}
    sft = [row for row in found.pairs.rows if row.cell == "SFT 1e-4"]
    counts = {by: sum(row.apart_by == by for row in sft) for by in ("seed", "data", "both")}
    assert counts == {"seed": 6, "data": 3, "both": 6}
    for row in found.pairs.rows:
        a, b = by_address[row.a], by_address[row.b]
        assert row.l2 == pytest.approx(np.linalg.norm(family.change(b, row.a)), rel=1e-12)
        changes = family.change(a, a.base), family.change(b, b.base)
        assert row.cosine == pytest.approx(cosine(*changes), abs=1e-12)
        assert row.sign_conflict == pytest.approx(np.mean(changes[0] * changes[1] < 0))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_a_ratio_is_between_data_by_between_seeds_with_both_intervals(
    family: Family, found: kaibo.results.FineTunes
) -> None:
    (row,) = (one for one in found.ratios.rows if (one.cell, one.role, one.distance_norm) == ("DPO 1e-4", "all", "l2"))
    dpo = family.of("DPO")
    within, between = [], []
    for (data, seed), (other, another) in product(dpo, repeat=2):
        if seed < another:
            distance = float(np.linalg.norm(family.change(dpo[data, seed], dpo[other, another].address)))
            (within if data == other else between).append(distance)
    assert row.ratio == pytest.approx(np.mean(between) / np.mean(within))
    assert row.ratio_low is not None
    assert row.ratio_low <= row.ratio <= (row.ratio_high or 0)
    assert row.tensors_low is not None
    assert row.tensors_low <= row.ratio <= (row.tensors_high or 0)
    by_seed = [float(np.linalg.norm(family.change(dpo["D0", seed], dpo["D1", seed].address))) for seed in SEEDS]
    assert row.spread == pytest.approx((max(by_seed) - min(by_seed)) / np.mean(by_seed))
    roles = {one.role for one in found.ratios.rows if one.cell == "DPO 1e-4"}
    assert roles == {"all", "mlp.up", "mlp.down"}


def test_where_there_is_one_data_set_the_ratio_is_none_and_says_why(found: kaibo.results.FineTunes) -> None:
    rows = [row for row in found.ratios.rows if row.cell == "SFT→DPO 1e-4"]
    assert {(row.role, row.ratio) for row in rows} == {("all", None)}
    assert all(row.why["ratio"] == "no two data sets with different seeds" for row in rows)


def test_methods_are_paired_by_data_and_seed(family: Family, found: kaibo.results.FineTunes) -> None:
    row = next(row for row in found.methods.rows if (row.a, row.b) == ("DPO", "SFT"))
    sft, dpo = family.of("SFT"), family.of("DPO")
    logs, cosines = [], []
    for key, one in dpo.items():
        a, b = family.change(one, one.base), family.change(sft[key], one.base)
        logs.append(math.log(np.linalg.norm(a) / np.linalg.norm(b)))
        cosines.append(cosine(a, b))
    assert row.pairs == 6
    assert row.ratio == pytest.approx(math.exp(np.mean(logs)))
    known = stats.t.interval(0.95, 5, loc=np.mean(logs), scale=stats.sem(logs))
    assert (row.ratio_low, row.ratio_high) == pytest.approx(tuple(math.exp(end) for end in known))
    assert row.cosine == pytest.approx(np.mean(cosines), abs=1e-12)


def test_a_method_on_top_of_another_is_measured_from_there(family: Family, found: kaibo.results.FineTunes) -> None:
    row = next(row for row in found.methods.rows if row.a == "SFT→DPO")
    dpo = family.of("DPO")
    pairs = [
        (family.change(one, one.parent), family.change(dpo[key], one.base)) for key, one in family.of("SFT→DPO").items()
    ]
    assert row.pairs == 3
    assert row.ratios == pytest.approx([np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs], rel=1e-6)
    assert row.cosines == pytest.approx([cosine(a, b) for a, b in pairs], abs=1e-6)
    assert row.sign_conflict is None
    assert row.why["sign_conflict"] == "the two start from different models"


def test_the_largest_changes_and_the_map_and_the_rank_are_means_over_a_cell(
    family: Family, found: kaibo.results.FineTunes
) -> None:
    shares = []
    for one in family.of("SFT").values():
        squares = np.sort(family.change(one, one.base) ** 2)[::-1]
        shares.append(math.sqrt(squares[: math.floor(squares.size * 0.2)].sum() / squares.sum()))
    (row,) = (one for one in found.kept.rows if (one.cell, one.scope, one.percent) == ("SFT 1e-4", "global", 20.0))
    assert row.l2_share == pytest.approx(np.mean(shares), rel=0.02)  # the curve is read from bins
    assert row.l2_share_low <= row.l2_share <= row.l2_share_high
    assert {cell.tuned for cell in found.map.rows} == {"SFT 1e-4", "DPO 1e-4", "SFT→DPO 1e-4"}
    assert {(row.above_rounding, row.matrices) for row in found.ranks.rows if row.cell == "SFT 1e-4"} == {(2.0, 12)}
    assert all((row.erank_low or 9) <= row.erank <= (row.erank_high or 0) <= 2.0 for row in found.ranks.rows)


def test_the_same_fine_tunes_give_the_same_numbers_from_the_store(
    family: Family, found: kaibo.results.FineTunes, tmp_path: Path
) -> None:
    again = kaibo.questions.fine_tunes(family.tuned, settings=kaibo.Settings(store=tmp_path, workers=1))
    for name in ("norms", "pairs", "ratios", "methods", "kept", "map", "ranks"):
        assert getattr(again, name).rows == getattr(found, name).rows


def test_fine_tunes_of_two_bases_are_refused(family: Family) -> None:
    other = FineTune("x", "elsewhere", "elsewhere", "sft", RATE, "D0", "1")
    with pytest.raises(UsageError, match="several bases"):
        kaibo.questions.fine_tunes([*family.tuned, other])
