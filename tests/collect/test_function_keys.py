"""One store, one folder, another config: an answer is looked up only where nothing that decides it has changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from kaibo.chapters.score.ask import scores
from kaibo.desk.measuring import Settings
from kaibo.scoring.planning import ScoreSettings
from kaibo.scoring.texts.texts import Document
from kaibo.store import Store
from scoring_models import TEXT, save_causal


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_causal(tmp_path_factory.mktemp("models") / "model")


@pytest.fixture
def model(stored: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stored, tmp_path / "model"))


def nats(model: Path, store: Path, how: ScoreSettings | None = None) -> tuple[list[float], int]:
    """The nats of every token, and how many of them were measured now."""
    (found,) = scores(str(model), [Document("text", TEXT)], how=how, settings=Settings(store=store))
    return found.logs[0].nats.tolist(), found.measured


def rewrite(path: Path, **change: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("config.json", {"rope_parameters": {"rope_type": "default", "rope_theta": 500000.0}}),
    ("config.json", {"rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}}),
    ("config.json", {"rms_norm_eps": 0.1}),
    ("config.json", {"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 4}),
    ("tokenizer_config.json", {"bos_token": "</s>"}),
]


@pytest.mark.parametrize(("file", "change"), CHANGES)
def test_a_score_is_not_returned_for_another_function(
    model: Path, tmp_path: Path, file: str, change: dict[str, Any]
) -> None:
    nats(model, tmp_path / "store")
    rewrite(model / file, **change)
    again, measured = nats(model, tmp_path / "store")
    fresh, all_of_them = nats(model, tmp_path / "fresh")
    assert measured == all_of_them > 0
    assert str(again) == str(fresh)


def test_a_score_is_looked_up_under_another_spelling_of_the_config(model: Path, tmp_path: Path) -> None:
    first, measured = nats(model, tmp_path / "store")
    config = json.loads((model / "config.json").read_text())
    rope = config.pop("rope_parameters")
    config |= {
        "rope_theta": int(rope["rope_theta"]),
        "_name_or_path": "x",
        "torch_dtype": "bfloat16",
        "use_cache": False,
    }
    (model / "config.json").write_text(json.dumps(config))
    again, measured_again = nats(model, tmp_path / "store")
    assert measured > 0 == measured_again
    assert str(again) == str(first)


def test_windows_and_overrides_are_each_scored_for_themselves(model: Path, tmp_path: Path) -> None:
    ways = [
        ScoreSettings(), ScoreSettings(rope="linear:2"), ScoreSettings(dtype="bfloat16"), ScoreSettings(bos="never"),
        ScoreSettings(window=16), ScoreSettings(window=16, stride=4),
    ]  # fmt: skip
    assert all(nats(model, tmp_path / "store", how)[1] > 0 for how in ways)
    assert all(nats(model, tmp_path / "store", how)[1] == 0 for how in ways)


def test_scores_that_were_kept_by_tensors_alone_are_not_used_and_verify_says_so(model: Path, tmp_path: Path) -> None:
    import pyarrow as pa

    from kaibo.store.schemas import TOKEN_LOG

    nats(model, tmp_path / "new")
    rows = Store(tmp_path / "new").parts.read("token_log")
    at = rows.schema.get_field_index("version")
    old = rows.set_column(at, "version", pa.array([1] * rows.num_rows, "int32"))
    at = rows.schema.get_field_index("function_id")
    old = old.set_column(at, "function_id", pa.nulls(rows.num_rows, "string"))
    Store(tmp_path / "old").parts.write(TOKEN_LOG, old, rows["log"].to_pylist())

    assert nats(model, tmp_path / "old")[1] == rows.num_rows
    store = Store(tmp_path / "old")
    assert store.verify() == []
    (said,) = [one.sentence for one in store.outdated()]
    assert f"{rows.num_rows} rows of token_log are of version 1 and are not used" in said
    assert "config" in said


def test_a_model_that_is_removed_takes_its_scores_along(model: Path, tmp_path: Path) -> None:
    nats(model, tmp_path / "store")
    store = Store(tmp_path / "store")
    store.remove("model")
    assert store.parts.read("token_log").num_rows == 0
