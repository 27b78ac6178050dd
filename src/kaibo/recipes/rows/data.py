"""Rows to learn from: JSONL in the forms of the ecosystem, plain text, folders of `datasets`, the hub.

    messages            {"messages": [{"role": …, "content": …}, …]}   (also "conversations" with from/value)
    prompt-completion   {"prompt": …, "completion": …}                 texts, or lists of messages
    preference          {"prompt": …, "chosen": …, "rejected": …}      the same
    text                {"text": …}, or a file of plain text with an empty line between texts

No row is dropped in silence: one that cannot be used is kept as a `BadRow` with its file, its line and the reason.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaibo.documents.json_text import json_line
from kaibo.documents.reading import DATA_LIMIT, read_bytes, text_of
from kaibo.errors import FormatError, escaped
from kaibo.recipes.settings.schema import Data, Kind

Fields = dict[str, Any]
LINE_LIMIT = 16 << 20
"""Bytes that one row may have."""


@dataclass(frozen=True)
class BadRow:
    """A row that is not used: its file, its line (from 1; of a data set its row), and why."""

    file: str
    line: int
    reason: str

    @property
    def sentence(self) -> str:
        """The same in one line."""
        return f"{escaped(self.file)}: line {self.line}: {self.reason}"


@dataclass(frozen=True)
class Source:
    """Where a row stood."""

    file: str
    line: int


@dataclass(frozen=True)
class Rows:
    """Rows as TRL takes them, all of one form; `bad` are those that are not used, `unpaired` those without a partner.

    `sha256` is over the used rows, so that the same answers in another file are the same data.
    """

    form: str
    rows: tuple[Fields, ...]
    bad: tuple[BadRow, ...] = ()
    unpaired: tuple[BadRow, ...] = ()

    @property
    def sha256(self) -> str:
        """64 hex digits over form and rows as canonical JSON, a line each."""
        digest = hashlib.sha256(self.form.encode())
        for row in self.rows:
            digest.update(b"\n" + json.dumps(row, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, counted, with the first places."""
        return (
            *_told("rows cannot be used", self.bad),
            *_told("rows have no partner of the same prompt", self.unpaired),
        )


def read_rows(data: Data, kind: Kind) -> Rows:
    """The rows of a recipe's data.

    For dpo with `rejected` files the rows of both sides are joined by prompt, the k-th of a prompt with the k-th.
    Raises MissingError for files that are not there, FormatError where no row at all can be used, NetworkError for
    the hub.
    """
    if kind == "dpo" and data.rejected:
        return _joined(_side(data, data.files), _side(data, data.rejected), data.limit)
    form = data.form if data.form != "auto" or kind != "dpo" else "preference"
    found, bad = _read(data.files, form, data.split)
    if kind == "dpo" and found and found[0][1] != "preference":
        message = f"its rows are {found[0][1]}; dpo wants prompt, chosen and rejected"
        raise FormatError(message, file=data.files[0], next="or name the other style's files under data.rejected")
    if kind == "sft" and found and found[0][1] == "preference":
        raise FormatError("holds preferences, and sft wants answers", file=data.files[0], next='set kind = "dpo"')
    _require(found, bad, data.files)
    rows = tuple(row for _, _, row in found[: data.limit])
    return Rows(found[0][1], rows, tuple(bad))


Found = tuple[Source, str, Fields]


def _side(data: Data, files: Sequence[str]) -> tuple[list[Found], list[BadRow]]:
    found, bad = _read(files, data.form, data.split)
    _require(found, bad, files)
    if found[0][1] != "prompt-completion":
        raise FormatError(f"its rows are {found[0][1]}, and no prompt can be told from them", file=files[0])
    return found, bad


def _require(found: Sequence[Found], bad: Sequence[BadRow], files: Sequence[str]) -> None:
    if not found:
        why = f"; {bad[0].sentence}" if bad else ""
        raise FormatError(f"holds no row that can be used{why}", file=", ".join(files))


def _joined(
    chosen: tuple[list[Found], list[BadRow]], rejected: tuple[list[Found], list[BadRow]], limit: int | None
) -> Rows:
    waiting: dict[str, list[Found]] = {}
    for one in rejected[0]:
        waiting.setdefault(_key(one[2]["prompt"]), []).append(one)
    rows, alone = [], []
    for source, _, row in chosen[0]:
        partners = waiting.get(_key(row["prompt"]))
        if not partners:
            alone.append(BadRow(source.file, source.line, "no rejected answer to this prompt"))
            continue
        other = partners.pop(0)[2]
        rows.append({"prompt": row["prompt"], "chosen": row["completion"], "rejected": other["completion"]})
    for source, _, _ in (one for left in waiting.values() for one in left):
        alone.append(BadRow(source.file, source.line, "no chosen answer to this prompt"))
    if not rows:
        message = "no prompt of the chosen answers is among those of the rejected ones"
        raise FormatError(message, file=chosen[0][0][0].file, next="both files must answer the same prompts")
    return Rows("preference", tuple(rows[:limit]), (*chosen[1], *rejected[1]), tuple(alone))


def _key(prompt: Any) -> str:
    """A prompt without the white space around it; two styles may differ in their system message, so it is left out."""
    if isinstance(prompt, str):
        return prompt.strip()
    turns = [(turn["role"], turn["content"].strip()) for turn in prompt if turn["role"] != "system"]
    return json.dumps(turns, ensure_ascii=False)


def _read(files: Sequence[str], form: str, split: str) -> tuple[list[Found], list[BadRow]]:
    """Every row of several files, in order; the first good one decides the form of all."""
    found: list[Found] = []
    bad: list[BadRow] = []
    style: tuple[str, bool] | None = None
    for file in files:
        for source, raw in _raw(file, split):
            if isinstance(raw, BadRow):
                bad.append(raw)
                continue
            try:
                kind, row = _understood(raw, form)
            except ValueError as problem:
                bad.append(BadRow(source.file, source.line, str(problem)))
                continue
            conversational = isinstance(row.get("prompt"), list) or "messages" in row
            style = style or (kind, conversational)
            if (kind, conversational) == style:
                found.append((source, kind, row))
            else:
                bad.append(BadRow(source.file, source.line, f"is {_style(kind, conversational)}, not {_style(*style)}"))
    return found, bad


def _style(form: str, conversational: bool) -> str:
    return f"{form} {'in messages' if conversational else 'in plain text'}"


def _understood(raw: Any, asked: str) -> tuple[str, Fields]:
    """The form of a row and the fields that training takes. Raises ValueError with the reason."""
    if not isinstance(raw, Mapping):
        raise ValueError("is no object")
    for form, (needed, reader) in FORMS.items():
        if asked in ("auto", form) and all(name in raw for name in needed):
            return reader(raw)
    if "conversations" in raw and asked in ("auto", "messages"):
        return _messages({"messages": [_share_gpt(turn) for turn in _list(raw["conversations"], "conversations")]})
    wanted = " or ".join(", ".join(needed) for form, (needed, _) in FORMS.items() if asked in ("auto", form))
    raise ValueError(f"has {', '.join(map(escaped, raw)) or 'no fields'} and not {wanted}")


def _preference(raw: Mapping[str, Any]) -> tuple[str, Fields]:
    return "preference", _alike({name: _spoken(raw[name], name) for name in ("prompt", "chosen", "rejected")})


def _completion(raw: Mapping[str, Any]) -> tuple[str, Fields]:
    return "prompt-completion", _alike({name: _spoken(raw[name], name) for name in ("prompt", "completion")})


def _messages(raw: Mapping[str, Any]) -> tuple[str, Fields]:
    """A conversation that ends with an answer is a prompt and its completion: the loss is that of the answer."""
    turns = _turns(raw["messages"], "messages")
    if turns[-1]["role"] != "assistant":
        raise ValueError(f"ends with {turns[-1]['role']}, not with an answer of the assistant")
    if len(turns) < 2:
        raise ValueError("is an answer without a question")
    return "prompt-completion", {"prompt": turns[:-1], "completion": turns[-1:]}


def _text(raw: Mapping[str, Any]) -> tuple[str, Fields]:
    return "text", {"text": _filled(raw["text"], "text")}


FORMS: Mapping[str, tuple[tuple[str, ...], Callable[[Mapping[str, Any]], tuple[str, Fields]]]] = {
    "preference": (("prompt", "chosen", "rejected"), _preference),
    "prompt-completion": (("prompt", "completion"), _completion),
    "messages": (("messages",), _messages),
    "text": (("text",), _text),
}


def _alike(row: Fields) -> Fields:
    """All fields as text, or all as messages; a text beside messages becomes one message."""
    if all(isinstance(value, str) for value in row.values()):
        return row
    return {
        name: [{"role": "user" if name == "prompt" else "assistant", "content": value}]
        if isinstance(value, str)
        else value
        for name, value in row.items()
    }


def _spoken(value: Any, name: str) -> Any:
    return _turns(value, name) if isinstance(value, list) else _filled(value, name)


def _turns(value: Any, name: str) -> list[Fields]:
    turns = []
    for turn in _list(value, name):
        if not isinstance(turn, Mapping) or not isinstance(turn.get("role"), str):
            raise ValueError(f"{name}: a message has no role")
        turns.append({"role": turn["role"], "content": _filled(turn.get("content"), f"{name}: content")})
    return turns


def _share_gpt(turn: Any) -> Fields:
    roles = {"human": "user", "gpt": "assistant"}
    if not isinstance(turn, Mapping) or not isinstance(turn.get("from"), str):
        raise ValueError("conversations: a message has no from")
    return {"role": roles.get(turn["from"], turn["from"]), "content": turn.get("value")}


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"{name} is no list of messages")
    return value


def _filled(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} is no text")
    if not value.strip():
        raise ValueError(f"{name} is empty")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(f"{name} holds half a character")
    return value


def _raw(file: str, split: str) -> Iterator[tuple[Source, Any]]:
    """Rows before they are understood; a line that is no JSON is a `BadRow` in its place."""
    path = Path(file)
    if file.startswith("hf:"):
        from kaibo.recipes.rows.folders import hub_rows

        yield from _numbered(file, hub_rows(file, split))
    elif path.is_dir():
        from kaibo.recipes.rows.folders import folder_rows

        yield from _numbered(file, folder_rows(path, split))
    elif path.suffix.lower() in (".txt", ".md"):
        yield from _paragraphs(file)
    else:
        yield from _lines(file)


def _numbered(file: str, rows: Iterator[Any]) -> Iterator[tuple[Source, Any]]:
    for line, row in enumerate(rows, start=1):
        yield Source(file, line), row


def _opened(file: str) -> bytes:
    return read_bytes(file, DATA_LIMIT, "is the path right?")


def _lines(file: str) -> Iterator[tuple[Source, Any]]:
    for line, data in enumerate(_opened(file).removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        source = Source(file, line)
        if not data.strip():
            continue
        if len(data) > LINE_LIMIT:
            yield source, BadRow(file, line, f"is longer than {LINE_LIMIT >> 20} MiB")
            continue
        try:
            yield source, json_line(data, file, line)
        except FormatError as wrong:
            yield source, BadRow(file, line, wrong.message.removeprefix(f"line {line} "))


def _paragraphs(file: str) -> Iterator[tuple[Source, Any]]:
    """Texts between empty lines, each with the line it begins at."""
    begin = 1
    lines: list[str] = []
    text = text_of(_opened(file), file)
    for number, line in enumerate([*text.replace("\r\n", "\n").split("\n"), ""], start=1):
        if line.strip():
            begin = begin if lines else number
            lines.append(line)
        elif lines:
            yield Source(file, begin), {"text": "\n".join(lines)}
            lines = []


def _told(what: str, rows: Sequence[BadRow]) -> tuple[str, ...]:
    if not rows:
        return ()
    shown = "; ".join(row.sentence for row in rows[:3])
    more = f"; and {len(rows) - 3:,} more (run.json lists them)" if len(rows) > 3 else ""
    return (f"{len(rows):,} {what}: {shown}{more}",)
