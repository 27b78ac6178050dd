from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kaibo.errors import FormatError
from kaibo.models.tokenizer_files import check_tokenizer

SOUND: dict[str, Any] = {
    "model": {"type": "WordLevel", "vocab": {"a": 0, "<unk>": 1}, "unk_token": "<unk>"},
    "added_tokens": [{"id": 2, "content": "<s>"}],
    "normalizer": {
        "type": "Sequence",
        "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ],
    },
}
WIDER = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 20}


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps({**SOUND, **changes}))
    return path


def test_a_sound_tokenizer_passes(tmp_path: Path) -> None:
    check_tokenizer(written(tmp_path))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": {"type": "BPE", "vocab": {"a": 2**32}}}, "has the id"),
        ({"added_tokens": [{"id": 2**32 - 1, "content": "x"}]}, "has the id"),
        ({"added_tokens": [{"id": -1, "content": "x"}]}, "has the id"),
        ({"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "<unk>"}}, "unknown token"),
        ({"model": {"type": "WordPiece", "vocab": {"a": 0}}}, "unknown token"),
        ({"model": {"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 7}}, "unknown token"),
        ({"normalizer": {"type": "Sequence", "normalizers": [WIDER] * 2}}, "times longer"),
        ({"normalizer": {"type": "Replace", "pattern": {"Regex": ""}, "content": "a" * 999}}, "times longer"),
        ({"model": None}, "has no model"),
    ],
)
def test_a_tokenizer_that_would_take_memory_or_grow_text_is_refused(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    """An id of 2^32 made a table of 11 GB; twenty replacements made a text of one letter fill the memory."""
    with pytest.raises(FormatError, match=said):
        check_tokenizer(written(tmp_path, **changes))
