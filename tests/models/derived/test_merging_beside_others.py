"""What a merge gives, element for element: beside its definition in numpy, PEFT and mergekit."""

from __future__ import annotations

import itertools
import json
import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kaibo
from kaibo.chapters.merge.ask import CONVENTIONS, Merge, Writing
from kaibo.models import open_model
from kaibo.testing import tiny_model, write_safetensors
from kaibo.testing.models import encode
from kaibo.vocabulary import widen
from kaibo.vocabulary.merging import Recipe

Arrays = Mapping[str, np.ndarray]


def read(folder: Path) -> dict[str, np.ndarray]:
    """The tensors of a model, float64, by the names in its files."""
    return {
        tensor.name: np.concatenate(
            [np.zeros(0), *(widen(tensor.dtype.name, chunk) for chunk in tensor.chunks(np.empty(1 << 16, np.uint8)))]
        ).reshape(tensor.shape)
        for tensor in open_model(folder).tensors
    }


def nudged(folder: Path, base: Path, seed: int, *, dtype: str = "F32", size: float = 0.01, share: float = 1.0) -> Path:
    """A model made from `base`: noise is added to a share of its weights."""
    folder.mkdir()
    (folder / "config.json").write_bytes((base / "config.json").read_bytes())
    random = np.random.default_rng(seed)
    tensors = {}
    for name, values in read(base).items():
        noise = random.normal(size=values.shape) * size * (random.random(values.shape) < share)
        tensors[name] = (dtype, values.shape, encode(dtype, (values + noise).astype(np.float32).reshape(-1)))
    write_safetensors(folder / "model.safetensors", tensors)
    return folder


@pytest.fixture(scope="module", params=["F32", "BF16"])
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """A base and three models made from it, in one element type."""
    folder = tmp_path_factory.mktemp(request.param)
    base = tiny_model(folder / "base", dtype=request.param, hidden=16, heads=2, layers=2)
    sizes = [nudged(folder / f"tuned{seed}", base, seed, dtype=request.param, share=0.6) for seed in (1, 2, 3)]
    return base, sizes


def merged(base: Path, tuned: list[Path], folder: Path, **choices: Any) -> tuple[dict[str, np.ndarray], Merge]:
    """What kaibo writes, in float32."""
    recipe = Recipe(**{"densities": (0.2,), **choices})
    done = kaibo.merge(
        base, tuned, recipe=recipe, writing=Writing(folder / "out", "float32", force=True), settings=options(folder)
    )
    return read(folder / "out"), done


def options(folder: Path, workers: int = 2) -> kaibo.Settings:
    return kaibo.Settings(store=folder / "store", workers=workers)


def vectors(base: Arrays, tuned: list[Path]) -> list[dict[str, np.ndarray]]:
    """Δ in float32 from the stored values, then float64."""
    return [
        {
            name: (values.astype(np.float32) - base[name].astype(np.float32)).astype(np.float64)
            for name, values in read(one).items()
        }
        for one in tuned
    ]


def one_ulp(found: np.ndarray, wanted: np.ndarray) -> None:
    wanted32 = wanted.astype(np.float32)
    assert (np.abs(found - wanted32) <= np.spacing(np.abs(wanted32))).all()


def mask_of(flat: np.ndarray, density: float, ties: str) -> np.ndarray:
    """Trimming as the paper's code has it (the (d − k)-th smallest and all at or above it), or exactly k entries."""
    k = int(flat.size * density)
    if ties == "reference":
        return np.abs(flat) >= np.sort(np.abs(flat))[max(flat.size - k, 1) - 1]
    mask = np.zeros(flat.size, bool)
    mask[np.argsort(-np.abs(flat), kind="stable")[:k]] = True
    return mask & (flat != 0)


def ties_merge(flats: list[np.ndarray], density: float, ties: str) -> np.ndarray:
    """The reference definition: trim, elect the sign of the sum (ties to the majority), disjoint mean."""
    kept = np.stack([flat * mask_of(flat, density, ties) for flat in flats])
    sign = np.sign(kept.sum(axis=0))
    majority = np.sign(sign.sum())
    sign[sign == 0] = majority
    chosen = np.where(np.where(sign > 0, kept > 0, kept < 0), kept, 0.0)
    return chosen.sum(axis=0) / np.maximum((chosen != 0).sum(axis=0), 1)


@pytest.mark.parametrize(("scope", "ties"), itertools.product(["global", "tensor"], ["reference", "exact"]))
def test_ties_is_the_reference_definition(
    family: tuple[Path, list[Path]], tmp_path: Path, scope: str, ties: str
) -> None:
    base, tuned = family
    found, _ = merged(base, tuned, tmp_path, scope=scope, ties=ties, factor=0.7)
    before = read(base)
    deltas = vectors(before, tuned)
    names = [tensor.name for tensor in open_model(base).tensors]  # canonical order: where ties are cut
    groups = [names] if scope == "global" else [[name] for name in names]
    for group in groups:
        flats = [np.concatenate([delta[name].reshape(-1) for name in group]) for delta in deltas]
        merged_vector, at = ties_merge(flats, 0.2, ties), 0
        for name in group:
            part = merged_vector[at : at + before[name].size].reshape(before[name].shape)
            one_ulp(found[name], before[name] + 0.7 * part)
            at += before[name].size


def test_ties_by_tensor_is_what_peft_does(family: tuple[Path, list[Path]], tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from peft.utils.merge_utils import ties as peft_ties
    base, tuned = family
    before = read(base)
    deltas = vectors(before, tuned)
    for vote, name in (("sum", "total"), ("count", "frequency")):
        found, _ = merged(base, tuned, tmp_path, **{**CONVENTIONS["peft"], "vote": vote}, weights=(1.0, 0.5, 2.0))
        for tensor, values in found.items():
            theirs = peft_ties(
                [torch.tensor(delta[tensor]) for delta in deltas], torch.tensor([1.0, 0.5, 2.0]), 0.2, name
            )
            if cut_through_ties([delta[tensor] for delta in deltas], 0.2):
                continue  # topk takes any of several equal entries, we take the first ones
            one_ulp(values, before[tensor] + theirs.numpy())


def cut_through_ties(deltas: list[np.ndarray], density: float) -> bool:
    """Whether equal magnitudes lie on both sides of the cut in any of the task vectors."""
    for delta in deltas:
        magnitude = np.sort(np.abs(delta.reshape(-1)))[::-1]
        k = int(magnitude.size * density)
        if 0 < k < magnitude.size and magnitude[k - 1] == magnitude[k] != 0:
            return True
    return False


@pytest.fixture(scope="module")
def floats(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """The same in float32 with dense task vectors: no equal magnitudes, so every convention cuts alike."""
    folder = tmp_path_factory.mktemp("dense")
    base = tiny_model(folder / "base", dtype="F32", hidden=16, heads=2)
    return base, [nudged(folder / f"tuned{seed}", base, seed) for seed in (1, 2, 3)]


def run_mergekit(config: dict[str, Any], out: Path) -> dict[str, np.ndarray]:
    pytest.importorskip("mergekit")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mergekit.config import MergeConfiguration
        from mergekit.merge import run_merge
        from mergekit.options import MergeOptions

        run_merge(
            MergeConfiguration.model_validate(config), str(out),
            MergeOptions(cuda=False, copy_tokenizer=False, write_model_card=False, quiet=True),
        )  # fmt: skip
    return read(out)


def entries(tuned: list[Path], **parameters: list[float]) -> list[dict[str, Any]]:
    return [
        {"model": str(one), "parameters": {name: values[place] for name, values in parameters.items()}}
        for place, one in enumerate(tuned)
    ]


WEIGHTS = [1.0, 0.5, 0.25]
BOTH_SIGNS = [1.0, -0.4, 0.7]
WITH_ZERO = [-1.0, 0.0, 0.6]
METHODS: dict[str, Callable[[Path, list[Path]], dict[str, Any]]] = {
    "ties": lambda base, tuned: {
        "merge_method": "ties", "base_model": str(base),
        "models": entries(tuned, weight=WEIGHTS, density=[0.2, 0.5, 1.0]),
    },
    "ties, not divided": lambda base, tuned: {
        "merge_method": "ties", "base_model": str(base), "parameters": {"normalize": False, "lambda": 0.5},
        "models": entries(tuned, weight=WEIGHTS, density=[0.2, 0.5, 0.3]),
    },
    "task arithmetic": lambda base, tuned: {
        "merge_method": "task_arithmetic", "base_model": str(base), "models": entries(tuned, weight=WEIGHTS),
    },
    "linear": lambda base, tuned: {"merge_method": "linear", "models": entries(tuned, weight=WEIGHTS)},
    "linear, not divided": lambda base, tuned: {
        "merge_method": "linear", "models": entries(tuned, weight=WEIGHTS), "parameters": {"normalize": False},
    },
    "slerp": lambda base, tuned: {
        "merge_method": "slerp", "base_model": str(base), "models": [{"model": str(base)}, {"model": str(tuned[0])}],
        "parameters": {"t": 0.3},
    },
}  # fmt: skip


def signed(name: str, weights: list[float], **parameters: Any) -> Callable[[Path, list[Path]], dict[str, Any]]:
    """A method of mergekit with weights of both signs, or with one that is zero."""

    def config(base: Path, tuned: list[Path]) -> dict[str, Any]:
        density = {"density": [0.2, 0.5, 1.0]} if name == "ties" else {}
        of_base = {} if name == "linear" else {"base_model": str(base)}
        each = entries(tuned, weight=weights, **density)
        return {"merge_method": name, **of_base, "models": each, "parameters": parameters}

    return config


METHODS |= {
    f"{name}, weights {weights}, {parameters}": signed(name, weights, **parameters)
    for name, parameters in [
        ("ties", {"normalize": True}),
        ("ties", {"normalize": False, "lambda": -0.5}),
        ("task_arithmetic", {"normalize": False}),
        ("linear", {"normalize": True}),
        ("linear", {"normalize": False}),
    ]
    for weights in (BOTH_SIGNS, WITH_ZERO)
}


def condition(config: Mapping[str, Any]) -> float:
    """Σ |w| over the smallest divisor that some of the weights can add up to; 1 where all are positive."""
    weights = [one["parameters"]["weight"] for one in config["models"] if "parameters" in one]
    if not weights or min(weights) > 0:
        return 1.0
    chosen = itertools.chain.from_iterable(itertools.combinations(weights, k + 1) for k in range(len(weights)))
    return max(1.0, sum(map(abs, weights)) / min(abs(sum(some)) for some in chosen if sum(some) != 0))


@pytest.mark.parametrize("method", METHODS)
def test_a_mergekit_configuration_gives_what_mergekit_gives(
    method: str, floats: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    yaml = pytest.importorskip("yaml")
    from kaibo.chapters.merge.options import asked

    config = {**METHODS[method](*floats), "dtype": "float64"}  # mergekit then adds up in float64, as we always do
    theirs = run_mergekit(config, tmp_path / "theirs")
    (tmp_path / "merge.yaml").write_text(yaml.safe_dump(config))
    request = asked(str(tmp_path / "merge.yaml"), [], "reference", {})
    writing = Writing(tmp_path / "ours", "float32")
    kaibo.merge(request.base, request.tuned, recipe=request.recipe, writing=writing, settings=options(tmp_path))
    ours = read(tmp_path / "ours")
    assert ours.keys() == theirs.keys()
    before, *after = (read(one) for one in (floats[0], *floats[1]))
    for name, values in ours.items():
        # Each Δ is rounded to float32 once: one unit of the result, or of all Δ where they outweigh it; weights of
        # both signs leave a smaller divisor, which makes that unit larger.
        largest = np.maximum(np.abs(theirs[name]), sum(np.abs(one[name] - before[name]) for one in after))
        unit = np.spacing(largest.astype(np.float32)) * condition(config)
        assert (np.abs(values - theirs[name]) <= unit).all(), name


def elected(flats: list[np.ndarray], weights: tuple[float, ...], vote: str, divide: str) -> np.ndarray:
    """TIES of whole task vectors by its words: entries are w·Δ, ties go to plus."""
    entries = np.stack([weight * flat for weight, flat in zip(weights, flats, strict=True)])
    ballots = {"weighted": entries, "sum": np.sign(weights)[:, None] * np.stack(flats), "count": np.sign(entries)}
    sign = np.where(ballots[vote].sum(axis=0) >= 0, 1.0, -1.0)
    agree = np.sign(entries) == sign
    total = np.where(agree, entries, 0.0).sum(axis=0)
    if divide == "none":
        return total
    divisor = (agree * (np.array(weights)[:, None] if divide == "weights" else 1.0)).sum(axis=0)
    return total / np.where(divisor == 0, 1.0, divisor)


@pytest.mark.parametrize("weights", [(1.0, -0.4, 0.7), (-1.0, -0.5, -2.0), (-1.0, 0.0, 0.6), (0.0, 0.0, 1.0)])
@pytest.mark.parametrize(
    ("vote", "divide"), itertools.product(["sum", "weighted", "count"], ["count", "weights", "none"])
)
def test_under_ties_a_negative_weight_votes_and_agrees_against_its_task_vector(
    floats: tuple[Path, list[Path]], tmp_path: Path, weights: tuple[float, ...], vote: str, divide: str
) -> None:
    base, tuned = floats
    found, done = merged(base, tuned, tmp_path, densities=(1.0,), weights=weights, vote=vote, divide=divide, tie="plus")
    before, deltas = read(base), vectors(read(base), tuned)
    for name, values in found.items():
        wanted = elected([delta[name].reshape(-1) for delta in deltas], weights, vote, divide)
        one_ulp(values, before[name] + wanted.reshape(values.shape))
    for weight, share in zip(weights, done.report.rows[0].elected_each, strict=True):
        assert (share == 0) == (weight == 0)


@pytest.mark.parametrize("weights", [(1.0, -0.4, 0.7), (-1.0, 0.0, 0.6)])
def test_what_is_dropped_at_random_is_added_with_its_weight_whatever_its_sign(
    floats: tuple[Path, list[Path]], tmp_path: Path, weights: tuple[float, ...]
) -> None:
    base, tuned = floats
    whole, _ = merged(base, tuned, tmp_path, method="dare", densities=(0.5,), weights=weights, seed=0)
    before, deltas = read(base), vectors(read(base), tuned)
    for name, values in whole.items():
        kept = values - before[name]
        possible = np.stack([2 * weight * delta[name] for weight, delta in zip(weights, deltas, strict=True)])
        choices = np.array(list(itertools.product([0, 1], repeat=len(weights)))) @ possible.reshape(len(weights), -1)
        assert np.abs(choices - kept.reshape(-1)).min(axis=0).max() < 1e-6  # each entry is dropped, or doubled


def test_one_task_vector_of_density_one_gives_the_tuned_model_back(
    family: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    base, tuned = family
    for method in ("ties", "task-arithmetic"):
        writing = Writing(tmp_path / method)
        kaibo.merge(
            base, tuned[0], recipe=Recipe(method, densities=(1.0,)), writing=writing, settings=options(tmp_path)
        )
        before, after, found = read(base), read(tuned[0]), read(tmp_path / method)
        for name, values in found.items():
            exact = (after[name].astype(np.float32) - before[name].astype(np.float32)) == after[name] - before[name]
            assert exact.any()
            assert (values == after[name])[exact].all()
            largest = np.maximum(np.abs(after[name]), np.abs(after[name] - before[name])).astype(np.float32)
            assert (np.abs(values - after[name]) <= np.spacing(largest)).all(), "Δ was rounded to float32 once"


def test_linear_and_slerp_of_two_are_the_formulas(floats: tuple[Path, list[Path]], tmp_path: Path) -> None:
    base, (tuned, *_) = floats
    a, b = read(base), read(tuned)
    found, _ = merged(base, [tuned], tmp_path, method="linear", weights=(3.0, 1.0))
    for name, values in found.items():
        one_ulp(values, 0.75 * a[name] + 0.25 * b[name])
    found, _ = merged(base, [tuned], tmp_path, method="slerp", t=0.3)
    arcs = 0
    for name, values in found.items():
        cosine = float((a[name] * b[name]).sum() / np.linalg.norm(a[name]) / np.linalg.norm(b[name]))
        angle = math.acos(min(1.0, cosine))
        arcs += cosine <= 0.9995
        w = (0.7, 0.3) if cosine > 0.9995 else tuple(math.sin(s * angle) / math.sin(angle) for s in (0.7, 0.3))
        np.testing.assert_allclose(values, w[0] * a[name] + w[1] * b[name], rtol=1e-6, atol=1e-9)
    assert 0 < arcs < len(found), "both the arc and the line were taken"


def test_dare_drops_by_position_and_keeps_the_mean(floats: tuple[Path, list[Path]], tmp_path: Path) -> None:
    base, (tuned, *_) = floats
    found, done = merged(base, [tuned], tmp_path, method="dare", densities=(0.3,), seed=7)
    before = read(base)
    (delta,) = vectors(before, [tuned])
    kept = total = 0
    for name, values in found.items():
        dropped = values == before[name].astype(np.float32)
        one_ulp(values, np.where(dropped, before[name], before[name] + delta[name] / 0.3))
        kept, total = kept + int((~dropped).sum()), total + dropped.size
    assert abs(kept / total - 0.3) < 4 * math.sqrt(0.21 / total)
    assert done.record()["kept"] == pytest.approx(kept / total, abs=1e-3)
    again, _ = merged(base, [tuned], tmp_path, method="dare", densities=(0.3,), seed=7)
    other, _ = merged(base, [tuned], tmp_path, method="dare", densities=(0.3,), seed=8)
    assert all((again[name] == found[name]).all() for name in found)
    assert any((other[name] != found[name]).any() for name in found)


def test_the_report_counts_what_numpy_counts(floats: tuple[Path, list[Path]], tmp_path: Path) -> None:
    base, tuned = floats
    _, done = merged(base, tuned, tmp_path)
    before = read(base)
    names = [tensor.name for tensor in open_model(base).tensors]
    flats = [np.concatenate([delta[name].reshape(-1) for name in names]) for delta in vectors(before, tuned)]
    kept = np.stack([flat * mask_of(flat, 0.2, "reference") for flat in flats])
    touched = (kept != 0).any(axis=0)
    conflict = (kept > 0).any(axis=0) & (kept < 0).any(axis=0)
    elected = (np.sign(kept) == np.sign(kept.sum(axis=0))) & (kept != 0)
    (row,) = done.report.rows
    assert (row.n, row.touched) == (touched.size, touched.sum())
    assert row.conflict == pytest.approx(conflict.sum() / touched.sum())
    assert row.kept == pytest.approx((kept != 0).mean())
    assert row.elected_each == pytest.approx(elected.sum(axis=1) / (kept != 0).sum(axis=1))
    assert sum(part.touched for part in done.by_role.rows) == row.touched
    assert json.loads(json.dumps(done.record()))["conflict"] == row.conflict


def test_an_adapter_alone_merges_to_the_base_with_its_update(tmp_path: Path) -> None:
    from kaibo.models.adapters import open_base, open_tuned
    from kaibo.testing.adapters import tiny_adapter

    tiny_model(tmp_path / "base", dtype="F32")
    tiny_adapter(tmp_path / "adapter")
    recipe = Recipe("ties", densities=(1.0,))
    writing = Writing(tmp_path / "out")
    kaibo.merge(tmp_path / "base", tmp_path / "adapter", recipe=recipe, writing=writing, settings=options(tmp_path))
    tuned = open_tuned(tmp_path / "adapter", open_base(tmp_path / "base"))
    found, before, moved = read(tmp_path / "out"), read(tmp_path / "base"), 0
    for tensor in tuned.tensors:
        wanted = np.concatenate(
            [widen(tensor.dtype.name, chunk) for chunk in tensor.chunks(np.empty(1 << 16, np.uint8))]
        ).reshape(tensor.shape)
        largest = np.maximum(np.abs(wanted), np.abs(wanted - before[tensor.name])).astype(np.float32)
        assert (np.abs(found[tensor.name] - wanted) <= np.spacing(largest)).all()
        moved += int((found[tensor.name] != before[tensor.name]).sum())
    assert moved > 0


@pytest.mark.parametrize("method", ["ties", "task-arithmetic", "linear"])
def test_what_is_no_number_in_a_tuned_model_is_counted_and_named(method: str, tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base", dtype="F32", hidden=16, heads=2, layers=2)
    sound, broken = nudged(tmp_path / "sound", base, 1), nudged(tmp_path / "broken", base, 2)
    values = read(broken)
    name = sorted(values)[3]
    values[name].reshape(-1)[:2] = math.nan, math.inf
    tensors = {
        key: ("F32", one.shape, encode("F32", one.astype(np.float32).reshape(-1))) for key, one in values.items()
    }
    write_safetensors(broken / "model.safetensors", tensors)
    where = f"first 2 in {name.removeprefix('model.')}"
    for out in (None, tmp_path / "out", tmp_path / "out"):  # the last takes its report from the folder
        recipe = Recipe(method=method, densities=(0.5,))
        settings = kaibo.Settings(store=tmp_path / "store")
        found = kaibo.merge(base, [sound, broken], recipe=recipe, writing=Writing(out), settings=settings)
        (said,) = (text for text in found.notes if "NaN" in text)
        assert said == f"broken: values that are NaN or infinite go into the merge: 2 in 1 tensors, {where}"
        assert found.record()["nonfinite"] == 2
    assert not np.isfinite(read(tmp_path / "out")[name].reshape(-1)[:2]).any()
    clean = kaibo.merge(base, [sound], recipe=Recipe(method=method), settings=settings)
    assert clean.record()["nonfinite"] == 0
    assert not any("NaN" in text for text in clean.notes)


@pytest.mark.parametrize(
    ("method", "density"), [("ties", 0.2), ("dare", 0.5), ("task-arithmetic", 1.0), ("linear", 1.0), ("slerp", 1.0)]
)
def test_a_method_that_does_not_trim_keeps_everything_unless_told(method, density):
    # from Python, task-arithmetic lost four fifths of an adapter on every layer; the command line did not
    assert Recipe(method=method).densities == (density,)
    assert Recipe(method=method, densities=(0.7,)).densities == (0.7,)
