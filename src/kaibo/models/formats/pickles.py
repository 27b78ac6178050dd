"""An interpreter of pickle opcodes that calls nothing: a short list of names stands for what is known beforehand.

Numbers, texts, lists, tuples and dicts are built as the opcodes say. A name is looked up in the caller's list and
never imported; calling one that stands there runs our function of it. Everything else (another name, an extension
code, a call of something that is no name, a state set on what takes none) is refused with the name that was wanted.
Source: Lib/pickletools.py of CPython, protocols 0 to 5.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from kaibo.errors import FormatError, PolicyError, escaped

STEPS, OBJECTS = 1 << 21, 1 << 20
"""Opcodes that are followed, and lists, dicts, tuples and records that are made, at most."""

LONGEST_NAME, LONGEST_NUMBER = 1000, 400
NEXT = "load it where that is safe and save the tensors alone as safetensors"
"""What to do about a pickle that wants more than tensors."""


class Ordered(dict[Any, Any]):
    """What an OrderedDict of a pickle becomes; its attributes are left out."""


@dataclass(eq=False)
class Record:
    """An object of a known class as data: what it was called with, and the state that was set on it."""

    name: str
    args: tuple[Any, ...] = ()
    state: Any = None


@dataclass(frozen=True)
class Known:
    """A name of the list. `make` gives what calling it stands for; None: it is a value and cannot be called."""

    name: str
    make: Callable[[tuple[Any, ...]], Any] | None = None


def records(*names: str) -> dict[str, Known]:
    """Names whose objects are kept as records: what they hold is seen and nothing is done with it."""

    def known(name: str) -> Known:
        return Known(name, lambda args: Record(name, args))

    return {name: known(name) for name in names}


class RefusedError(Exception):
    """Raised by a known name's `make` with the reason, for arguments that it does not take."""


@dataclass
class _Machine:
    data: bytes
    file: str
    base: int
    known: Mapping[str, Known]
    persistent: Callable[[Any], Any]
    at: int = 0
    made: int = 0
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def fail(self, message: str) -> NoReturn:
        raise FormatError(f"pickle: {message}", file=self.file, offset=self.base + self.at)

    def refuse(self, wanted: str) -> NoReturn:
        raise PolicyError(f"its pickle {wanted}", file=self.file, offset=self.base + self.at, next=NEXT)

    def take(self, size: int) -> bytes:
        end = self.at + size
        if size < 0 or end > len(self.data):
            self.fail(f"{size} bytes are promised, {len(self.data) - self.at} are left")
        found = self.data[self.at : end]
        self.at = end
        return found

    def number(self, kind: str, size: int) -> Any:
        return struct.unpack(kind, self.take(size))[0]

    def line(self, limit: int) -> bytes:
        end = self.data.find(b"\n", self.at, self.at + limit + 1)
        if end < 0:
            self.fail(f"a line is cut or longer than {limit} bytes")
        found = self.data[self.at : end]
        self.at = end + 1
        return found

    def pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            self.fail("takes a value from an empty stack")
        return self.stack.pop()

    def top(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            self.fail("looks at an empty stack")
        return self.stack[-1]

    def marked(self) -> list[Any]:
        """What lies above the last mark, which goes with it."""
        if not self.marks:
            self.fail("looks for a mark that was not set")
        begin = self.marks.pop()
        found = self.stack[begin:]
        del self.stack[begin:]
        return found

    def push_made(self, value: Any) -> None:
        self.made += 1
        if self.made > OBJECTS:
            self.fail(f"makes more than {OBJECTS} objects")
        self.stack.append(value)

    def remember(self, place: int) -> None:
        self.memo[place] = self.top()

    def recall(self, place: int) -> None:
        if place not in self.memo:
            self.fail(f"refers to value {place}, which was not kept")
        self.stack.append(self.memo[place])

    def name(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            self.refuse("looks up a name that is not a text")
        wanted = f"{module}.{name}"
        if wanted not in self.known:
            self.refuse(f'wants "{escaped(wanted, 120)}", which builds no tensor')
        self.stack.append(self.known[wanted])

    def call(self, callee: Any, args: Any) -> None:
        if not isinstance(callee, Known) or callee.make is None:
            self.refuse(f"calls {_named(callee)}")
        if type(args) is not tuple:
            self.fail(f"calls {callee.name} with what is not a tuple")
        try:
            self.push_made(callee.make(args))
        except RefusedError as problem:
            self.fail(f"{callee.name}: {problem}")

    def build(self) -> None:
        state, built = self.pop(), self.top()
        if isinstance(built, Record):
            built.state = state
        elif type(built) is not Ordered:  # the attributes of an OrderedDict (versions of modules) are no tensors
            self.refuse(f"sets the state of {_named(built)}")

    def put(self, pairs: list[Any]) -> None:
        target = self.top()
        if len(pairs) % 2:
            self.fail("a key without a value")
        if type(target) not in (dict, Ordered):
            self.refuse(f"sets items of {_named(target)}")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not _is_key(key):
                self.refuse(f"takes {_named(key)} as a key")
            if key in target:
                self.fail(f'the key "{escaped(key, 80)}" is set twice')
            target[key] = value

    def add(self, values: list[Any]) -> None:
        target = self.top()
        if type(target) is not list:
            self.refuse(f"appends to {_named(target)}")
        target.extend(values)


def _named(value: Any) -> str:
    if isinstance(value, Known | Record):
        return f'"{value.name}"'
    return f"a value of type {type(value).__name__}"


def _is_key(key: Any) -> bool:
    """Keys are plain values: the hash of a tuple in tuples may take for ever."""
    plain = (str, int, bytes, bool, float, type(None))
    flat = type(key) in plain or type(key) is Record  # a record is itself and equals no other
    return flat or (type(key) is tuple and all(type(one) in plain for one in key))


def interpret(
    data: bytes, file: str, known: Mapping[str, Known], persistent: Callable[[Any], Any], base: int = 0
) -> Any:
    """The value that a pickle describes; `persistent` gives what a persistent id stands for, `base` is its offset.

    Raises FormatError for what is malformed or larger than the limits, PolicyError naming what it wants beyond the
    list.
    """
    machine = _Machine(data, file, base, known, persistent)
    for _ in range(STEPS):
        code = machine.take(1)[0]
        if code == _STOP:
            break
        step = _STEPS.get(code)
        if step is None:
            machine.fail(f"{code} is not an opcode")
        step(machine)
    else:
        machine.fail(f"has more than {STEPS} opcodes")
    return machine.pop()


_STOP = ord(".")
Step = Callable[[_Machine], None]


def _push(kind: str, size: int) -> Step:
    return lambda m: m.stack.append(m.number(kind, size))


def _text(kind: str, size: int, errors: str = "surrogatepass") -> Step:
    return lambda m: m.stack.append(_decoded(m, m.take(m.number(kind, size)), errors))


def _bytes(kind: str, size: int) -> Step:
    return lambda m: m.stack.append(m.take(m.number(kind, size)))


def _decoded(m: _Machine, data: bytes, errors: str = "surrogatepass") -> str:
    try:
        return data.decode("utf-8", errors)
    except UnicodeDecodeError:
        m.fail("a text is not UTF-8")


def _long(m: _Machine, size: int) -> None:
    if size > LONGEST_NUMBER:
        m.fail(f"a number of {size} bytes")
    m.stack.append(int.from_bytes(m.take(size), "little", signed=True))


def _decimal(m: _Machine) -> None:
    said = m.line(LONGEST_NUMBER).strip()
    if said in (b"00", b"01"):
        m.stack.append(said == b"01")
        return
    try:
        m.stack.append(int(said.removesuffix(b"L")))
    except ValueError:
        m.fail("a number cannot be read")


def _float(m: _Machine) -> None:
    try:
        m.stack.append(float(m.line(LONGEST_NUMBER)))
    except ValueError:
        m.fail("a number cannot be read")


def _quoted(m: _Machine) -> None:
    said = m.line(len(m.data)).strip()
    if len(said) < 2 or said[:1] != said[-1:] or said[:1] not in (b"'", b'"'):
        m.fail("a text without quotes")
    try:
        m.stack.append(codecs.escape_decode(said[1:-1])[0].decode("latin-1"))
    except ValueError:
        m.fail("a text with a broken escape")


def _unicode(m: _Machine) -> None:
    try:
        m.stack.append(m.line(len(m.data)).decode("raw-unicode-escape"))
    except UnicodeDecodeError:
        m.fail("a text with a broken escape")


def _global(m: _Machine) -> None:
    module, name = (_decoded(m, m.line(LONGEST_NAME)) for _ in range(2))
    m.name(module, name)


def _stack_global(m: _Machine) -> None:
    name, module = m.pop(), m.pop()
    m.name(module, name)


def _inst(m: _Machine) -> None:
    module, name = (_decoded(m, m.line(LONGEST_NAME)) for _ in range(2))
    m.refuse(f'makes an object of "{escaped(f"{module}.{name}", 120)}"')


def _obj(m: _Machine) -> None:
    found = m.marked()
    m.refuse(f"makes an object of {_named(found[0]) if found else 'nothing'}")


def _call(m: _Machine) -> None:
    args, callee = m.pop(), m.pop()
    m.call(callee, args)


def _new_with_words(m: _Machine) -> None:
    words, args, callee = m.pop(), m.pop(), m.pop()
    if words:
        m.refuse(f"makes an object of {_named(callee)} with named arguments")
    m.call(callee, args)


def _extension(size: int) -> Step:
    return lambda m: m.refuse(f"wants the extension {int.from_bytes(m.take(size), 'little')} of copyreg")


def _tuple(count: int) -> Step:
    return lambda m: m.push_made(tuple([m.pop() for _ in range(count)][::-1]))


def _pairs(m: _Machine) -> None:
    pairs = m.marked()
    m.push_made({})
    m.put(pairs)


def _set_item(m: _Machine) -> None:
    value, key = m.pop(), m.pop()
    m.put([key, value])


def _append(m: _Machine) -> None:
    value = m.pop()
    m.add([value])


def _add_items(m: _Machine) -> None:
    m.marked()
    if not isinstance(m.top(), set):
        m.refuse(f"adds to {_named(m.top())}")


def _pop(m: _Machine) -> None:
    if m.marks and m.marks[-1] == len(m.stack):
        m.marks.pop()
    else:
        m.pop()


def _frozen(m: _Machine) -> None:
    m.marked()
    m.push_made(frozenset())


def _persistent(m: _Machine, value: Any) -> None:
    try:
        m.push_made(m.persistent(value))
    except RefusedError as problem:
        m.fail(str(problem))


def _protocol(m: _Machine) -> None:
    if m.take(1)[0] > 5:
        m.fail("is of a protocol after 5")


_STEPS: Mapping[int, Step] = {
    0x80: _protocol,
    0x95: lambda m: None if m.number("<Q", 8) <= len(m.data) - m.at else m.fail("a frame reaches past its end"),
    ord("("): lambda m: m.marks.append(len(m.stack)),
    ord("0"): _pop,
    ord("1"): lambda m: m.marked().clear(),
    ord("2"): lambda m: m.stack.append(m.top()),
    ord("N"): lambda m: m.stack.append(None),
    0x88: lambda m: m.stack.append(True),
    0x89: lambda m: m.stack.append(False),
    ord("K"): _push("<B", 1),
    ord("M"): _push("<H", 2),
    ord("J"): _push("<i", 4),
    ord("G"): _push(">d", 8),
    ord("I"): _decimal,
    ord("L"): _decimal,
    ord("F"): _float,
    0x8A: lambda m: _long(m, m.number("<B", 1)),
    0x8B: lambda m: _long(m, m.number("<i", 4)),
    ord("S"): _quoted,
    ord("V"): _unicode,
    ord("T"): _text("<i", 4, "surrogateescape"),
    ord("U"): _text("<B", 1, "surrogateescape"),
    ord("X"): _text("<I", 4),
    0x8C: _text("<B", 1),
    0x8D: _text("<Q", 8),
    ord("B"): _bytes("<I", 4),
    ord("C"): _bytes("<B", 1),
    0x8E: _bytes("<Q", 8),
    0x96: _bytes("<Q", 8),
    ord("]"): lambda m: m.push_made([]),
    ord("}"): lambda m: m.push_made({}),
    ord(")"): lambda m: m.stack.append(()),
    0x8F: lambda m: m.push_made(set()),
    ord("l"): lambda m: m.push_made(m.marked()),
    ord("t"): lambda m: m.push_made(tuple(m.marked())),
    ord("d"): _pairs,
    0x85: _tuple(1),
    0x86: _tuple(2),
    0x87: _tuple(3),
    ord("a"): _append,
    ord("e"): lambda m: m.add(m.marked()),
    ord("s"): _set_item,
    ord("u"): lambda m: m.put(m.marked()),
    0x90: _add_items,
    0x91: _frozen,
    ord("p"): lambda m: m.remember(_line_number(m)),
    ord("q"): lambda m: m.remember(m.number("<B", 1)),
    ord("r"): lambda m: m.remember(m.number("<I", 4)),
    0x94: lambda m: m.remember(len(m.memo)),
    ord("g"): lambda m: m.recall(_line_number(m)),
    ord("h"): lambda m: m.recall(m.number("<B", 1)),
    ord("j"): lambda m: m.recall(m.number("<I", 4)),
    ord("c"): _global,
    0x93: _stack_global,
    ord("i"): _inst,
    ord("o"): _obj,
    ord("R"): _call,
    0x81: _call,
    0x92: _new_with_words,
    ord("b"): lambda m: m.build(),
    ord("P"): lambda m: _persistent(m, _decoded(m, m.line(LONGEST_NAME))),
    ord("Q"): lambda m: _persistent(m, m.pop()),
    0x82: _extension(1),
    0x83: _extension(2),
    0x84: _extension(4),
    0x97: lambda m: m.refuse("wants a buffer from outside"),
    0x98: lambda m: m.refuse("wants a buffer from outside"),
}
"""What each opcode does; the names are those of pickletools, in the order in which it explains them."""


def _line_number(m: _Machine) -> int:
    said = m.line(20)
    if not said.isdigit():
        m.fail("a place of the memo is no number")
    return int(said)
