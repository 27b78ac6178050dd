"""`kaibo series` on real files: a trained run, and the faults that people have found in published ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaibo.testing import write_safetensors
from kaibo.testing.models import encode

NAMES = ("model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.down_proj.weight")
STEPS = range(0, 80, 10)


def trained() -> list[dict[str, np.ndarray]]:
    """The weights of a two-layer linear network at every tenth step of Adam with a cosine schedule."""
    random = np.random.default_rng(0)
    up, down = random.normal(size=(12, 8)) * 0.3, random.normal(size=(8, 12)) * 0.3
    target = random.normal(size=(8, 8))
    weights, moments, squares = [up, down], [0.0, 0.0], [0.0, 0.0]
    saved = []
    for step in range(71):
        if step % 10 == 0:
            saved.append({name: weight.astype(np.float32) for name, weight in zip(NAMES, weights, strict=True)})
        x = random.normal(size=(8, 32))
        error = weights[1] @ weights[0] @ x - target @ x
        slopes = [weights[1].T @ error @ x.T / 32, error @ (weights[0] @ x).T / 32]
        for k, slope in enumerate(slopes):
            moments[k] = 0.9 * moments[k] + 0.1 * slope
            squares[k] = 0.99 * squares[k] + 0.01 * slope**2
            rate = 0.03 * 0.5 * (1 + np.cos(np.pi * step / 80))
            size = np.sqrt(squares[k] / (1 - 0.99 ** (step + 1))) + 1e-8
            weights[k] = weights[k] - rate * moments[k] / (1 - 0.9 ** (step + 1)) / size
    return saved


RUN = trained()


def write(folder: Path, weights: dict[str, np.ndarray], dtype: str = "F32", theta: float = 10000.0) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "rope_theta": theta}))
    contents = {name: (dtype, one.shape, encode(dtype, one)) for name, one in weights.items()}
    write_safetensors(folder / "model.safetensors", contents)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A clean run of eight checkpoints in the folder `run`."""
    for step, weights in zip(STEPS, RUN, strict=True):
        write(tmp_path / "run" / f"checkpoint-{step}", weights)
    return tmp_path / "run"


def flat(at: int) -> np.ndarray:
    return np.concatenate([RUN[at][name].astype(float).ravel() for name in NAMES])


def found(ran: Any) -> list[tuple[str, list[str]]]:
    (result,) = ran.document["results"]
    return [(one["kind"], one["checkpoints"]) for one in result["findings"]]


def test_a_clean_run_gives_nothing_and_its_numbers_are_numpys(kaibo: Any, run: Path) -> None:
    ran = kaibo("series", "run", "--json")
    assert ran.code == 0, ran.err
    (result,) = ran.document["results"]
    assert result["findings"] == []
    for at, one in enumerate(result["checkpoints"]):
        assert one["norm"] == pytest.approx(np.linalg.norm(flat(at)), rel=1e-12)
        assert one["from_start"] == pytest.approx(np.linalg.norm(flat(at) - flat(0)), rel=1e-6)
        assert one["to_end"] == pytest.approx(np.linalg.norm(flat(7) - flat(at)), rel=1e-6)
        assert one["sigma"]["mlp.up"] == pytest.approx(RUN[at][NAMES[0]].astype(float).std(), rel=1e-9)
        if 0 < at < 7:
            before, after = flat(at) - flat(at - 1), flat(at + 1) - flat(at)
            cosine = before @ after / np.linalg.norm(before) / np.linalg.norm(after)
            assert one["cosine"] == pytest.approx(cosine, abs=1e-5)
    rates = [one["rate"] for one in result["checkpoints"][1:]]
    middles = np.arange(5, 70, 10)
    assert np.corrcoef(rates, 1 + np.cos(np.pi * middles / 80))[0, 1] > 0.9, "the schedule is seen in the weights"


def test_a_second_look_reads_nothing(kaibo: Any, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = kaibo("series", "run", "--json").document["results"]

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr("kaibo.models.formats.StoredTensor.chunks", refuse)
    assert kaibo("series", "run", "--json").document["results"] == first


def test_planted_faults_are_found_with_exit_one_and_the_rest_goes_on(kaibo: Any, run: Path) -> None:
    for step in (20, 40):
        shutil.copy(run / "checkpoint-70" / "model.safetensors", run / f"checkpoint-{step}" / "model.safetensors")
    shutil.rmtree(run / "checkpoint-50")
    ran = kaibo("series", "run", "--json")
    assert ran.code == 1
    assert found(ran) == [
        ("equals-last", ["checkpoint-20", "checkpoint-40", "checkpoint-70"]),
        ("missing-step", ["checkpoint-40", "checkpoint-60"]),
    ]
    shown = kaibo("series", "run", "--lang", "ja")
    assert shown.code == 1
    assert "最後と同じ" in shown.out
    assert "checkpoint-70とまったく同じ重みです" in "".join(shown.out.split())


def test_other_types_other_configs_and_swapped_checkpoints(kaibo: Any, run: Path) -> None:
    shutil.rmtree(run / "checkpoint-70")
    write(run / "checkpoint-70", RUN[7], "BF16", theta=500000.0)
    (run / "checkpoint-30").rename(run / "kept")
    (run / "checkpoint-40").rename(run / "checkpoint-30")
    (run / "kept").rename(run / "checkpoint-40")
    ran = kaibo("series", "run", "--json")
    assert ran.code == 1
    assert {kind for kind, _ in found(ran)} == {"out-of-order", "dtype-change", "config-change"}
    assert ("out-of-order", ["checkpoint-30", "checkpoint-40"]) in found(ran)


def test_a_checkpoint_that_cannot_be_read_is_a_finding(kaibo: Any, run: Path) -> None:
    cut = run / "checkpoint-30" / "model.safetensors"
    cut.write_bytes(cut.read_bytes()[:-8])
    ran = kaibo("series", "run", "--json")
    assert ran.code == 1
    assert [kind for kind, _ in found(ran)] == ["unreadable"]
    assert "the file is cut" in ran.document["results"][0]["findings"][0]["evidence"]
    assert len(ran.document["results"][0]["checkpoints"]) == 7
    assert ran.document["errors"] == []
    for folder in run.iterdir():
        (folder / "model.safetensors").write_bytes(b"")
    ran = kaibo("series", "run", "--json")
    assert ran.code == 3, "nothing is left to audit"
    assert len(ran.document["errors"]) == 8


def test_checkpoints_are_read_a_few_times_however_many_there_are(
    kaibo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kaibo.models.formats import StoredTensor

    random = np.random.default_rng(1)
    path = np.cumsum(random.normal(size=(25, 12, 8)), axis=0)
    for at, up in enumerate(path):
        write(tmp_path / "long" / f"step{at}", {NAMES[0]: up.astype(np.float32)})
    count, chunks = 0, StoredTensor.chunks

    def counting(self: Any, *arguments: Any) -> Any:
        nonlocal count
        count += 1
        return chunks(self, *arguments)

    monkeypatch.setattr(StoredTensor, "chunks", counting)
    (result,) = kaibo("series", "long", "--json").document["results"]
    assert count < 3 * len(path), "two by two it would be eight times each"
    flat = path.astype(np.float32).astype(float).reshape(25, -1)
    for at, one in enumerate(result["checkpoints"]):
        assert one["from_start"] == pytest.approx(np.linalg.norm(flat[at] - flat[0]), rel=1e-5)
        assert one["to_end"] == pytest.approx(np.linalg.norm(flat[-1] - flat[at]), rel=1e-5)
        assert at == 0 or one["step_length"] == pytest.approx(np.linalg.norm(flat[at] - flat[at - 1]), rel=1e-5)
        assert not 0 < at < 24 or one["cosine"] is not None


def test_steps_by_hand_and_addresses_one_by_one(kaibo: Any, run: Path) -> None:
    three = [f"run/checkpoint-{step}" for step in (0, 20, 10)]
    ran = kaibo("series", *three, "--json")
    assert [one["step"] for one in ran.document["results"][0]["checkpoints"]] == [0, 10, 20]
    ran = kaibo("series", *three, "--steps", "-,7,3", "--json")
    assert [one["step"] for one in ran.document["results"][0]["checkpoints"]] == [3, 7, None]
    assert kaibo("series", *three, "--steps", "1,x,3").code == 2
    assert kaibo("series", three[0]).code == 4


def test_effective_ranks_are_followed_where_asked_for(kaibo: Any, run: Path) -> None:
    (result,) = kaibo("series", "run", "--spectrum", "--json").document["results"]
    for at, one in enumerate(result["checkpoints"]):
        sigma = np.linalg.svd(RUN[at][NAMES[0]].astype(float), compute_uv=False)
        assert one["stable_rank"]["mlp.up"] == pytest.approx((sigma**2).sum() / sigma[0] ** 2, rel=1e-6)


@pytest.mark.slow
def test_a_folder_gets_the_page_the_figures_and_the_tables_of_a_series(kaibo: Any, run: Path, tmp_path: Path) -> None:
    shutil.copy(run / "checkpoint-70" / "model.safetensors", run / "checkpoint-20" / "model.safetensors")
    assert kaibo("series", "run", "--out", "o", "--spectrum").code == 1
    made = {path.name for path in (tmp_path / "o").iterdir()}
    assert {"series.html", "series-checkpoints.csv", "series-audit.csv", "series-checkpoints-rate.svg"} <= made
    assert str(tmp_path) not in (tmp_path / "o" / "series.html").read_text(encoding="utf-8")
