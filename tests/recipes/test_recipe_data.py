"""Rows to learn from: every form of the ecosystem, bad rows with their lines, pairs joined by prompt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipe_models import write_jsonl

from kaibo.errors import FormatError, MissingError
from kaibo.recipes.rows.data import read_rows
from kaibo.recipes.settings.schema import Data

USER = {"role": "user", "content": "q"}
ANSWER = {"role": "assistant", "content": "a"}


@pytest.mark.parametrize(
    ("row", "form", "read"),
    [
        ({"messages": [USER, ANSWER]}, "prompt-completion", {"prompt": [USER], "completion": [ANSWER]}),
        (
            {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
            "prompt-completion",
            {"prompt": [USER], "completion": [ANSWER]},
        ),
        ({"prompt": "q", "completion": "a"}, "prompt-completion", {"prompt": "q", "completion": "a"}),
        ({"prompt": [USER], "completion": "a"}, "prompt-completion", {"prompt": [USER], "completion": [ANSWER]}),
        ({"text": "t", "id": 3}, "text", {"text": "t"}),
    ],
)
def test_each_form_is_told_by_its_fields(tmp_path: Path, row: Any, form: str, read: Any) -> None:
    rows = read_rows(Data((str(write_jsonl(tmp_path / "d.jsonl", [row])),)), "sft")
    assert (rows.form, rows.rows, rows.bad) == (form, (read,), ())


def test_preferences_are_for_dpo_and_answers_are_not(tmp_path: Path) -> None:
    pair = {"prompt": "q", "chosen": "a", "rejected": "b"}
    pairs = Data((str(write_jsonl(tmp_path / "p.jsonl", [pair])),))
    answers = Data((str(write_jsonl(tmp_path / "a.jsonl", [{"prompt": "q", "completion": "a"}])),))
    assert read_rows(pairs, "dpo").rows == (pair,)
    with pytest.raises(FormatError, match="sft wants answers"):
        read_rows(pairs, "sft")
    with pytest.raises(FormatError, match="no row that can be used"):
        read_rows(answers, "dpo")


def test_plain_text_is_cut_at_empty_lines(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("one\ntwo\n\n\nthree\n")
    assert read_rows(Data((str(tmp_path / "t.txt"),)), "sft").rows == ({"text": "one\ntwo"}, {"text": "three"})


def test_no_bad_row_is_dropped_in_silence(tmp_path: Path) -> None:
    good = json.dumps({"prompt": "q", "completion": "a"}).encode()
    wrong = {
        2: (b"{", "is not JSON"),
        3: (b"[1]", "is no object"),
        5: (b'{"prompt": "q"}', "has prompt and not"),
        6: (b'{"prompt": "q", "completion": ""}', "completion is empty"),
        7: (b'{"prompt": 3, "completion": "a"}', "prompt is no text"),
        8: (b'{"text": "t"}', "is text in plain text, not prompt-completion"),
        9: (b'{"messages": [{"role": "user", "content": "q"}]}', "ends with user"),
        10: (b"\xff", "is not UTF-8"),
        11: (b'{"prompt": "\\ud800", "completion": "a"}', "half a surrogate pair"),
        12: (b"[" * 3000, "is not JSON"),
    }
    lines = [wrong[n][0] if n in wrong else good for n in range(1, 13)]
    (tmp_path / "d.jsonl").write_bytes(b"\n".join(lines) + b"\n\n")
    rows = read_rows(Data((str(tmp_path / "d.jsonl"),)), "sft")
    assert len(rows.rows) == 2
    assert {row.line: row.reason for row in rows.bad}.keys() == wrong.keys()
    for row in rows.bad:
        assert wrong[row.line][1] in row.reason
    (note,) = rows.notes
    assert note.startswith("10 rows cannot be used: ")
    assert "line 2: is not JSON" in note


def test_nothing_usable_and_nothing_there_are_errors_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text("{}\n")
    with pytest.raises(FormatError, match="no row that can be used"):
        read_rows(Data((str(tmp_path / "d.jsonl"),)), "sft")
    with pytest.raises(MissingError):
        read_rows(Data((str(tmp_path / "nowhere.jsonl"),)), "sft")


SIDES = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 99)), min_size=1, max_size=12)


@settings(deadline=None)
@given(SIDES, SIDES)
def test_every_answer_is_in_a_pair_of_its_prompt_or_reported(
    tmp_path_factory: pytest.TempPathFactory, chosen: list[tuple[str, int]], rejected: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("pairs")
    files = []
    for name, side in (("c", chosen), ("r", rejected)):
        rows = [{"prompt": prompt, "completion": f"{name}{prompt}{n}"} for prompt, n in side]
        files.append(str(write_jsonl(folder / f"{name}.jsonl", rows)))
    data = Data((files[0],), (files[1],))
    common = sum(min(sum(one == prompt for one, _ in side) for side in (chosen, rejected)) for prompt in "abcd")
    if not common:
        with pytest.raises(FormatError, match="no prompt of the chosen"):
            read_rows(data, "dpo")
        return
    joined = read_rows(data, "dpo")
    assert len(joined.rows) == common
    assert 2 * common + len(joined.unpaired) == len(chosen) + len(rejected)
    for row in joined.rows:
        assert row["chosen"].startswith("c" + row["prompt"])
        assert row["rejected"].startswith("r" + row["prompt"])


def test_the_hash_of_the_data_is_that_of_the_rows_not_of_the_file(tmp_path: Path) -> None:
    rows = [{"prompt": "q", "completion": "a"}, {"prompt": "p", "completion": "b"}]
    first = read_rows(Data((str(write_jsonl(tmp_path / "a.jsonl", rows)),)), "sft")
    (tmp_path / "b.jsonl").write_text("\n".join(json.dumps(dict(reversed(row.items()))) + "\n" for row in rows))
    assert read_rows(Data((str(tmp_path / "b.jsonl"),)), "sft").sha256 == first.sha256
    other = read_rows(Data((str(write_jsonl(tmp_path / "c.jsonl", rows[::-1])),)), "sft")
    assert other.sha256 != first.sha256


def test_folders_of_datasets_are_read(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = [{"prompt": "q", "completion": "a"}, {"prompt": "p", "completion": "b"}]
    datasets.disable_progress_bars()
    datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "saved")
    assert read_rows(Data((str(tmp_path / "saved"),)), "sft").rows == tuple(rows)
    (tmp_path / "files").mkdir()
    write_jsonl(tmp_path / "files" / "train.jsonl", rows)
    assert read_rows(Data((str(tmp_path / "files"),)), "sft").rows == tuple(rows)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(FormatError, match="no data set"):
        read_rows(Data((str(tmp_path / "nothing"),)), "sft")
