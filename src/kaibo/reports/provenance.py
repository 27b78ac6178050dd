"""The mark that every file kaibo writes carries: which command made it, of which model.

HTML carries it in a `meta` tag, SVG in its metadata, PNG in a text chunk, JSON under the key `kaibo`; any other
format (CSV, PDF …) is listed with its hash in `.kaibo.json` beside it. A file that carries the mark may be replaced
by the same command on the same model; any other file is somebody's.
"""

from __future__ import annotations

import html
import json
import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

READ_FOR_MARK = 1 << 16
"""How much of a file's beginning is searched for its mark."""

PNG = b"\x89PNG\r\n\x1a\n"
KEY = b"kaibo"


@dataclass(frozen=True)
class Mark:
    """What a file is: the command that made it and the model it is of (a name or an id, never a path)."""

    command: str
    model: str

    def text(self) -> str:
        """The mark as one line of JSON, the same for the same mark."""
        return json.dumps(asdict(self), ensure_ascii=True, sort_keys=True)


def mark_of(mapping: object) -> Mark | None:
    """The mark in a parsed JSON object, None where there is none."""
    if not isinstance(mapping, Mapping):
        return None
    command, model = mapping.get("command"), mapping.get("model")
    return Mark(command, model) if isinstance(command, str) and isinstance(model, str) else None


def marked(name: str, data: bytes, mark: Mark) -> bytes:
    """The file's bytes with the mark inside where its format has a place for one, else as they are."""
    kind = name.rpartition(".")[2].lower()
    if kind in ("html", "htm"):
        tag = f'<meta name="kaibo" content="{html.escape(mark.text())}">'.encode()
        return re.sub(rb"<head[^>]*>", lambda found: found[0] + tag, data, count=1)
    if kind == "svg":
        tag = f"<metadata>kaibo {html.escape(mark.text())}</metadata>".encode()
        return re.sub(rb"<svg\b[^>]*>", lambda found: found[0] + tag, data, count=1)
    if kind == "json" and data.lstrip()[:1] == b"{":
        inside = data.lstrip()[1:]
        comma = b"" if inside.lstrip()[:1] == b"}" else b", "
        return b'{"kaibo": ' + mark.text().encode() + comma + inside.lstrip()
    if kind == "png" and data.startswith(PNG):
        return _with_text_chunk(data, mark.text().encode())
    return data


def found_mark(name: str, beginning: bytes) -> Mark | None:
    """The mark inside a file, from its first bytes; None where there is none that can be read."""
    kind = name.rpartition(".")[2].lower()
    try:
        if kind in ("html", "htm"):
            found = re.search(rb'<meta name="kaibo" content="([^"]*)">', beginning)
            return mark_of(json.loads(html.unescape(found[1].decode()))) if found else None
        if kind == "svg":
            found = re.search(rb"<metadata>kaibo ([^<]*)</metadata>", beginning)
            return mark_of(json.loads(html.unescape(found[1].decode()))) if found else None
        if kind == "json" and beginning.startswith(b'{"kaibo": '):
            text = beginning.removeprefix(b'{"kaibo": ').decode("utf-8", "ignore")
            return mark_of(json.JSONDecoder().raw_decode(text)[0])
        if kind == "png" and beginning.startswith(PNG):
            return mark_of(json.loads(_text_chunk(beginning)))
    except (ValueError, RecursionError):  # somebody else's file that looks a little like ours
        return None
    return None


def _with_text_chunk(data: bytes, text: bytes) -> bytes:
    """A tEXt chunk after the image header, which is 25 bytes long and comes first in every PNG."""
    body = b"tEXt" + KEY + b"\0" + text
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    after = len(PNG) + 25
    return data[:after] + chunk + data[after:]


def _text_chunk(data: bytes) -> bytes:
    after = len(PNG) + 25
    (size,) = struct.unpack(">I", data[after : after + 4].ljust(4, b"\0"))
    body = data[after + 4 : after + 8 + size]
    return body.removeprefix(b"tEXt" + KEY + b"\0") if body.startswith(b"tEXt" + KEY + b"\0") else b"null"


def parsed_manifest(data: bytes) -> dict[str, Any]:
    """The `files` of a `.kaibo.json`: name → {mark, sha256: [hashes]}; empty where it is not one of ours."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    files = document.get("files") if isinstance(document, dict) else None
    return {name: entry for name, entry in files.items() if isinstance(entry, dict)} if isinstance(files, dict) else {}
