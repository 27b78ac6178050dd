from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import kaibo
from kaibo.cli import main_loop
from kaibo.errors import KaiboError, StoppedError
from kaibo.scoring.planning import ScoreSettings
from kaibo.store import Store
from scoring_models import TEXT, save_causal

STEPS = (1000, 5, 20)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three checkpoints, saved in no order."""
    folder = tmp_path_factory.mktemp("many") / "run"
    for place, step in enumerate(STEPS):
        save_causal(folder / f"checkpoint-{step}", seed=place)
    return folder


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT * 3, encoding="utf-8")
    return path


def kept(tmp_path: Path, name: str = "store", **more: Any) -> kaibo.Settings:
    return kaibo.Settings(store=tmp_path / name, **more)


def logged(tmp_path: Path, name: str) -> Any:
    return Store(tmp_path / name).sql("select * from token_log order by model_id, position")


def test_a_folder_of_checkpoints_stands_for_all_of_them_in_the_order_of_their_steps(
    run: Path, text: Path, tmp_path: Path
) -> None:
    rows = kaibo.score(run, text, settings=kept(tmp_path)).rows
    assert [row.step for row in rows] == sorted(STEPS)
    assert [Path(row.model).name for row in rows] == [f"checkpoint-{step}" for step in sorted(STEPS)]
    for row in rows:
        assert kaibo.score(row.model, text, settings=kept(tmp_path, "alone")).rows[0].nats == row.nats
    named = [run / "checkpoint-20", run / "checkpoint-5"]
    assert [row.step for row in kaibo.score(named, text, settings=kept(tmp_path)).rows] == [20, 5]


def test_a_model_that_holds_checkpoints_beside_its_own_weights_is_that_model(text: Path, tmp_path: Path) -> None:
    model = save_causal(tmp_path / "model")
    save_causal(model / "checkpoint-1", seed=1)
    (row,) = kaibo.score(model, text, settings=kept(tmp_path)).rows
    assert (row.model, row.step) == (str(model), None)


def test_texts_are_tokenised_once_and_weights_change_in_place(
    run: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kaibo.scoring import causal
    from kaibo.scoring.texts.tokens import Tokenizer

    counted = {"located": 0, "opened": 0}
    located, opened = Tokenizer.located, causal.Causal.__init__

    def locate(*given: Any) -> Any:
        counted["located"] += 1
        return located(*given)

    def open_one(*given: Any, **named: Any) -> None:
        counted["opened"] += 1
        opened(*given, **named)

    monkeypatch.setattr(Tokenizer, "located", locate)
    monkeypatch.setattr(causal.Causal, "__init__", open_one)
    kaibo.score(run, text, settings=kept(tmp_path))
    assert counted == {"located": 1, "opened": 1}


def test_reading_ahead_changes_no_byte_and_keeps_two_checkpoints_at_most(
    run: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import weakref

    from kaibo.scoring.causal import Causal

    alive: list[Any] = []
    most = 0
    values, swap = Causal.values, Causal.swap

    def count() -> None:
        nonlocal most
        most = max(most, 1 + sum(one() is not None for one in alive))

    def read(self: Any, model: Any) -> Any:
        found = values(self, model)
        alive.append(weakref.ref(found["model.norm.weight"]))
        count()
        return found

    def swapped(self: Any, model: Any, ahead: Any = None) -> bool:
        assert ahead is not None, "it was read ahead"
        count()
        return swap(self, model, ahead)

    kaibo.score(run, text, settings=kept(tmp_path, "plain"))
    monkeypatch.setattr(Causal, "values", read)
    monkeypatch.setattr(Causal, "swap", swapped)
    kaibo.score(run, text, how=ScoreSettings(prefetch=True), settings=kept(tmp_path, "ahead"))
    assert logged(tmp_path, "ahead").equals(logged(tmp_path, "plain"))
    assert (len(alive), most) == (2, 2)


def test_a_checkpoint_that_cannot_be_read_ahead_is_reported_in_its_turn_and_the_others_go_on(
    text: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    for place, step in enumerate((1, 2, 3)):
        save_causal(folder / f"step{step}", seed=place)
    broken = folder / "step2" / "model.safetensors"
    broken.write_bytes(broken.read_bytes()[:-10])
    errors: list[KaiboError] = []
    how = ScoreSettings(prefetch=True)
    rows = kaibo.score(folder, text, how=how, settings=kept(tmp_path), on_error=errors.append).rows
    assert [row.step for row in rows] == [1, 3]
    assert [error.exit for error in errors] == [3]


class Interrupt:
    """Sends a signal as soon as the so-many-th checkpoint is to be scored."""

    def __init__(self, after: int) -> None:
        self.left, self.labels = after, []

    def begin(self, label: str, total: int, unit: str = "bytes") -> None:
        if unit == "tokens":
            self.labels.append(label)
            self.left -= 1

    def advance(self, done: int) -> None:
        if self.left == 0:
            self.left = -1
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("prefetch", [False, True])
def test_a_run_stopped_between_checkpoints_goes_on_and_ends_with_the_same_bytes(
    run: Path, text: Path, tmp_path: Path, prefetch: bool
) -> None:
    how = ScoreSettings(prefetch=prefetch)
    whole = kaibo.score(run, text, how=how, settings=kept(tmp_path, "whole")).rows
    interrupt = Interrupt(2)
    with pytest.raises(StoppedError):
        kaibo.score(run, text, how=how, settings=kept(tmp_path, "parts", progress=interrupt))
    assert [label.partition(" ")[0] for label in interrupt.labels] == ["1/3", "2/3"]
    models = Store(tmp_path / "parts").sql("select distinct model_id from token_log").num_rows
    assert models == 2
    assert kaibo.score(run, text, how=how, settings=kept(tmp_path, "parts")).rows == whole
    assert logged(tmp_path, "parts").equals(logged(tmp_path, "whole"))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_process_stopped_by_a_signal_says_so_and_the_next_one_finishes_the_same(
    run: Path, tmp_path: Path, number: int, code: int
) -> None:
    text = tmp_path / "long.txt"
    text.write_text(TEXT * 60, encoding="utf-8")
    command = ["score", str(run), "--text", str(text), "--batch", "128", "--json", "--store"]
    assert main_loop([*command, str(tmp_path / "whole")]) == 0
    started = subprocess.Popen(
        [sys.executable, "-m", "kaibo", *command, str(tmp_path / "parts")],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert started.stderr is not None
    started.stderr.readline()  # the memory that it will need is said as scoring begins
    started.send_signal(number)
    said = started.communicate(timeout=120)[1]
    assert started.returncode == code
    assert "Traceback" not in said
    assert code < 0 or "go on" in said
    assert main_loop([*command, str(tmp_path / "parts")]) == 0
    assert logged(tmp_path, "parts").equals(logged(tmp_path, "whole"))


def test_the_memory_is_told_before_and_stands_in_the_document(
    run: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["score", str(run), "--text", str(text), "--store", str(tmp_path / "store"), "--json", "--ids", "4"]
    assert main_loop(asked) == 0
    written = capsys.readouterr()
    document = json.loads(written.out)
    assert all(row["memory"] > 100 << 20 for row in document["results"])
    assert written.err.count("scoring needs about") == 3
    assert any(note.endswith("the first ids read are 0 53 258 289 283") for note in document["warnings"])
    assert main_loop(asked[:-2]) == 0
    assert "first ids" not in capsys.readouterr().out


PEAK = """
import sys, kaibo
store, model, text = sys.argv[1:]
row = kaibo.score(model, text, settings=kaibo.Settings(store=store, workers=2)).rows[0]
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
heavy = {"numba", "pandas", "scipy", "sympy", "transformers", "duckdb"} & set(sys.modules)
print(int(peak) * 1024, row.memory, *heavy)
"""


def peak_of(folder: Path, hidden: int, vocabulary: int, text: str) -> tuple[int, int, list[str]]:
    """Peak memory, the memory that was told, and libraries that scoring does not need, of a process of its own."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from made import quiet
    from scoring_models import save_tokenizer

    sizes = {"hidden_size": hidden, "intermediate_size": 3 * hidden, "num_hidden_layers": 4, "num_attention_heads": 4}
    with quiet(), torch.random.fork_rng():
        config = LlamaConfig(**sizes, vocab_size=vocabulary, max_position_embeddings=512, bos_token_id=0)
        LlamaForCausalLM(config).save_pretrained(folder / "model")
    save_tokenizer(folder / "model")
    (folder / "text.txt").write_text(text, encoding="utf-8")
    command = [sys.executable, "-c", PEAK, *(str(folder / name) for name in ("store", "model", "text.txt"))]
    peak, told, *loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(peak), int(told), loaded


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
@pytest.mark.slow
def test_what_a_larger_model_takes_more_is_told_and_no_library_is_loaded_in_vain(tmp_path: Path) -> None:
    """The libraries take what they take on a machine: a small model in a process of its own says how much."""
    small, told_small, _ = peak_of(tmp_path / "small", 32, 400, TEXT)
    large, told_large, loaded = peak_of(tmp_path / "large", 384, 48_000, TEXT * 100)
    more, told = large - small, told_large - told_small
    assert more / 1.1 <= told <= 2 * more
    assert loaded in ([], ["scipy"])  # which interval estimates need at the end
