"""ONNX: the initialisers of a graph, whose bytes lie in the file or in another one beside it.

Source: onnx/onnx.proto (TensorProto, GraphProto, NodeProto) and docs/ExternalData.md. The graph itself is not run or
checked; of its nodes only those are looked at that say which tensors are codes and which are their scales.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from kaibo.errors import FormatError, escaped
from kaibo.models.formats import sniff
from kaibo.models.formats.contents import Beside, Contents, Entry, Format, alone
from kaibo.models.formats.pieces import Piece, row_major
from kaibo.models.formats.protobuf import Field, Messages
from kaibo.models.places import Place
from kaibo.vocabulary import DTYPES, DType

TYPES: Mapping[int, str] = {
    1: "F32",
    2: "U8",
    3: "I8",
    4: "U16",
    5: "I16",
    6: "I32",
    7: "I64",
    9: "BOOL",
    10: "F16",
    11: "F64",
    12: "U32",
    13: "U64",
    14: "C64",
    16: "BF16",
    17: "F8_E4M3",
    18: "F8_E4M3FNUZ",
    19: "F8_E5M2",
    20: "F8_E5M2FNUZ",
    23: "F4",
    24: "F8_E8M0",
}
"""Types of the format whose bytes are those of safetensors."""

CODES: Mapping[int, str] = {21: "U4", 22: "I4"}
"""Types of which two values share a byte."""

_MODEL_GRAPH, _NODES, _INITIALISERS = 7, 1, 5
_NAME, _MOST, _MOST_AXES = 1024, 1 << 17, 32
_SCALED = ("Dequantize", "QLinear", "QGemm", "QAttention", "NBits", "BlockQuantized")
_FLOATS, _DOUBLES, _RAW = 4, 10, 9
_NUMBERS = (5, 7, 11)
_CUT = "the file is cut or was not written by an ONNX writer"


@dataclass
class _Tensor:
    """A TensorProto: its description, and where its bytes are."""

    name: str = ""
    kind: int = 0
    axes: list[int] = field(default_factory=list)
    data: Field | None = None
    spelled: bool = False
    outside: dict[str, str] = field(default_factory=dict)
    at: int = 0


@dataclass
class _Graph:
    """What a graph holds: tensors by name, and which of them are the scales of codes."""

    tensors: dict[str, _Tensor] = field(default_factory=dict)
    scales: set[str] = field(default_factory=set)


def claims(name: str, start: bytes) -> bool:
    """Whether a file is of this format: by its name, or a version and the name of the program that wrote it."""
    named = start[:1] == b"\x08" and start[2:3] == b"\x12" and start[4:7].isalpha() and start[8:9] != b"{"
    return name.lower().endswith(".onnx") or named


def read(place: Place, beside: Beside = alone) -> Contents:
    """The initialisers of a model. Raises FormatError for a malformed one, PolicyError for data outside its folder."""
    start = place.read(0, min(place.size, sniff.START))
    if start[:1] != b"\x08":
        sniff.refuse(place, start, "does not begin with a version", 0, wanted="ONNX")
    messages, graph = Messages(place), _Graph()
    graphs = [one for one in messages.fields(0, place.size) if one.number == _MODEL_GRAPH]
    if not graphs:
        messages.fail("holds no graph", place.size)
    for one in graphs:
        _read_graph(messages, one, graph)
    others: dict[str, Place] = {}
    spelled = sorted(name for name, tensor in graph.tensors.items() if tensor.spelled)
    entries = tuple(
        _entry(place, graph, tensor, beside, others) for name, tensor in graph.tensors.items() if not tensor.spelled
    )
    shown = ", ".join(escaped(name, 60) for name in spelled[:3]) + (" …" if len(spelled) > 3 else "")
    notes = (f"{len(spelled)} initialisers are spelled out as numbers and left out: {shown}",) if spelled else ()
    digest = hashlib.sha256(repr([(one.name, one.dtype.name, one.shape, one.begin) for one in entries]).encode())
    return Contents(entries, digest.hexdigest(), notes=notes)


def _read_graph(messages: Messages, found: Field, graph: _Graph) -> None:
    for one in messages.fields(found.begin, found.end):
        if one.number == _INITIALISERS:
            tensor = _tensor(messages, one)
            if tensor.name in graph.tensors:
                messages.fail(f'the initialiser "{escaped(tensor.name)}" stands twice', one.begin)
            if len(graph.tensors) >= _MOST:
                messages.fail(f"more than {_MOST} initialisers", one.begin)
            graph.tensors[tensor.name] = tensor
        elif one.number == _NODES:
            _read_node(messages, one, graph)


def _read_node(messages: Messages, node: Field, graph: _Graph) -> None:
    """Notes which inputs of a node are what codes are multiplied by."""
    inputs: list[str] = []
    kind = ""
    for one in messages.fields(node.begin, node.end):
        if one.number in (1, 4):
            said = messages.read(one, _NAME, "a name").decode("utf-8", "surrogateescape")
            if one.number == 1:
                inputs.append(said)
            else:
                kind = said
    if kind.endswith("Integer"):  # x, w, zero points of both
        graph.scales.update(inputs[2:])
    elif any(word in kind for word in _SCALED):
        graph.scales.update(inputs[1:])
    if len(graph.scales) > _MOST:
        messages.fail(f"more than {_MOST} scales", node.begin)


def _tensor(messages: Messages, found: Field) -> _Tensor:
    made = _Tensor(at=found.begin)
    for one in messages.fields(found.begin, found.end):
        if one.number == 1:
            short = one.end - one.begin <= 10 * _MOST_AXES
            made.axes += [one.value] if one.value is not None else messages.numbers(one) if short else []
            if not short or len(made.axes) > _MOST_AXES:
                messages.fail(f"more than {_MOST_AXES} dimensions", one.begin)
        elif one.number == 2:
            made.kind = one.value or 0
        elif one.number == 8:
            made.name = messages.read(one, _NAME, "a name").decode("utf-8", "surrogateescape")
        elif one.number == 13:
            parts = {part.number: messages.read(part, _NAME, "a name") for part in messages.fields(one.begin, one.end)}
            made.outside[_text(parts.get(1))] = _text(parts.get(2))
        elif one.number in (_RAW, _FLOATS, _DOUBLES):
            made.spelled = made.spelled or made.data is not None
            made.data = one
        elif one.number in _NUMBERS:
            made.spelled = True
    return made


def _text(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "surrogateescape")


def _entry(place: Place, graph: _Graph, tensor: _Tensor, beside: Beside, others: dict[str, Place]) -> Entry:
    """An initialiser as an entry, its bytes inside the file that holds them."""

    def fail(message: str) -> NoReturn:
        raise FormatError(message, file=place.name, tensor=tensor.name, offset=tensor.at, next=_CUT)

    dtype, shape = _dtype(tensor, graph, fail), tuple(tensor.axes)
    if any(axis >= 1 << 62 for axis in shape):
        fail("has a negative dimension")
    size = -(-math.prod(shape) * dtype.bits // 8)
    if tensor.outside:
        name = tensor.outside.get("location", "")
        where = others.get(name) or others.setdefault(name, beside(name))
        begin, length = (_number(tensor.outside.get(key), fail) for key in ("offset", "length"))
        end = begin + length if "length" in tensor.outside else where.size
    else:
        where, data = place, tensor.data
        begin, end = (data.begin, data.end) if data else (tensor.at, tensor.at)
    if end - begin != size or end > where.size:
        held = f"{end - begin} bytes of {where.size - begin}" if end > where.size else f"{end - begin} bytes"
        fail(f"{list(shape)} of {dtype.name} needs {size} bytes, there are {held}")
    if where is place:
        return Entry(tensor.name, dtype, shape, begin, end)
    if not dtype.itemsize:
        dtype, shape = DType("U8", 8, "packed"), (size,)
    piece = Piece(where, begin, (0,) * len(shape), shape, row_major(shape))
    return Entry(tensor.name, dtype, shape, begin, end, False, (piece,))


def _dtype(tensor: _Tensor, graph: _Graph, fail: Callable[[str], NoReturn]) -> DType:
    """The type of an initialiser; codes and their scales are no weights."""
    if tensor.kind in CODES:
        return DType(CODES[tensor.kind], 4, "packed")
    if tensor.kind not in TYPES:
        fail(f"is of type {tensor.kind}, which is not read")
    dtype = DTYPES[TYPES[tensor.kind]]
    if dtype.kind == "integer" and dtype.bits == 8 and len(tensor.axes) > 1:
        return DType(dtype.name, 8, "packed")
    constant = not tensor.axes  # of the graph (an epsilon, a mask's −3.4e38), never a weight
    scales = constant or tensor.name in graph.scales or tensor.name.endswith(("_scale", "_zero_point"))
    return DType(dtype.name, dtype.bits, "scale") if scales and dtype.kind == "float" else dtype


def _number(text: str | None, fail: Callable[[str], NoReturn]) -> int:
    if text is not None and not (text.isascii() and text.isdigit() and len(text) < 20):
        fail(f'"{escaped(text, 40)}" is no place in a file')
    return int(text or 0)


FORMAT = Format("onnx", (".onnx",), claims, read)
