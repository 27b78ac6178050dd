"""The texts of a nursery, written once: what models read, children learn and all are scored on; and the tokenizer."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kaibo.recipes.corpus import Document, chats, held_out, mixed
from kaibo.recipes.corpus.chats import STYLES
from kaibo.recipes.runs.account import write_json
from kaibo.recipes.runs.writing import read_object, write_whole
from kaibo.recipes.settings.presets import Preset
from kaibo.recipes.vocabularies.tokenizers import train_tokenizer

TEXTS = "texts.json"
VERSION = 1
"""Raised when the same preset would make other texts."""


def prepare(preset: Preset, folder: Path) -> dict[str, Any]:
    """Writes data, held-out texts and tokenizer below `folder`, unless they are there; what was written.

    The Python documentation is that of the running Python, so its version is among what identifies the texts.
    Raises StorageError where the disk is full or forbidden.
    """
    identity = _identity(preset)
    known = read_object(folder / "data" / TEXTS)
    if known is not None and known.get("fingerprint") == identity:
        return known
    texts = [_held_out(preset, folder), *(_mix(preset, folder, name) for name in _mixes(preset))]
    described = [record for records in texts for record in records]
    described += [_style(preset, folder, style) for style in STYLES] if preset.children else []
    sample = [json.loads(line)["text"] for line in (folder / "data" / "mixed.jsonl").read_text("utf-8").splitlines()]
    train_tokenizer(sample, preset.vocabulary, folder / "tokenizer", context=_context(preset))
    account = {"fingerprint": identity, "python": platform.python_version(), "texts": described}
    write_json(folder / "data" / TEXTS, account)
    return account


def _identity(preset: Preset) -> str:
    parts = (VERSION, platform.python_version(), preset.name, preset.seed, preset.stories, preset.text_bytes)
    return hashlib.sha256(repr((*parts, preset.vocabulary)).encode()).hexdigest()[:16]


def _context(preset: Preset) -> int:
    return preset.family[preset.smallest][0].max_position_embeddings


def _mixes(preset: Preset) -> list[str]:
    onward = ["japanese"] if preset.continuation else []
    return sorted({"mixed", *onward, *(variant.data for variant in preset.variants)})


def _mix(preset: Preset, folder: Path, name: str) -> list[dict[str, Any]]:
    documents = mixed(name, preset.seed, preset.text_bytes, preset.stories)
    rows = ({"text": document.text, "source": document.source, "language": document.language} for document in documents)
    return [_written(folder, f"data/{name}.jsonl", _lines(rows), documents)]


def _held_out(preset: Preset, folder: Path) -> list[dict[str, Any]]:
    out = []
    for language, documents in held_out(preset.seed, preset.stories).items():
        text = "\n\n".join(document.text for document in documents) + "\n"
        out.append(_written(folder, f"data/held-out-{language}.txt", text, documents))
    return out


def _style(preset: Preset, folder: Path, style: str) -> dict[str, Any]:
    asked = chats(preset.seed)
    rows = ({"messages": chat.messages(style), "language": chat.language} for chat in asked)
    return _written(folder, f"data/{style}.jsonl", _lines(rows), [chat.document(style) for chat in asked])


def _lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _written(folder: Path, name: str, text: str, documents: list[Document]) -> dict[str, Any]:
    data = text.encode()
    write_whole(folder / name, data)
    return {
        "name": Path(name).stem,
        "path": name,
        "documents": len(documents),
        "bytes": len(data),
        "languages": sorted({document.language for document in documents}),
        "generated": any(
            not document.source.startswith(("topic:", "docstring:", "question:")) for document in documents
        ),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
