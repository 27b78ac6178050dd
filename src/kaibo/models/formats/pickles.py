"""An interpreter of pickle opcodes that calls nothing: a short list of names stands for what is known beforehand.

Numbers, texts, lists, tuples and dicts are built as the opcodes say. A name is looked up in the caller's list and
never imported; calling one that stands there runs our function of it. Everything else (another name, an extension
code, a call of something that is no name, a state set on what takes none) is refused with the name that was wanted.
Source: Lib/pickletools.py of CPython, protocols 0 to 5.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from kaibo.errors import FormatError, PolicyError, escaped

OBJECTS = 1 << 20
"""Lists, dicts, tuples and records that are made, at most."""

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
class Machine:
    """A pickle that is read: where it is read, its stack with its marks, and what it keeps."""

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
        """Raises FormatError where the pickle is read."""
        raise FormatError(f"pickle: {message}", file=self.file, offset=self.base + self.at)

    def refuse(self, wanted: str) -> NoReturn:
        """Raises PolicyError naming what the pickle wants."""
        raise PolicyError(f"its pickle {wanted}", file=self.file, offset=self.base + self.at, next=NEXT)

    def take(self, size: int) -> bytes:
        """The next bytes."""
        end = self.at + size
        if size < 0 or end > len(self.data):
            self.fail(f"{size} bytes are promised, {len(self.data) - self.at} are left")
        found = self.data[self.at : end]
        self.at = end
        return found

    def number(self, kind: str, size: int) -> Any:
        """The next number, as `struct` spells its kind."""
        return struct.unpack(kind, self.take(size))[0]

    def line(self, limit: int) -> bytes:
        """The bytes up to the end of the line."""
        end = self.data.find(b"\n", self.at, self.at + limit + 1)
        if end < 0:
            self.fail(f"a line is cut or longer than {limit} bytes")
        found = self.data[self.at : end]
        self.at = end + 1
        return found

    def pop(self) -> Any:
        """Takes the last value above the last mark."""
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            self.fail("takes a value from an empty stack")
        return self.stack.pop()

    def top(self) -> Any:
        """The last value above the last mark."""
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
        """Puts an object on the stack and counts it."""
        self.made += 1
        if self.made > OBJECTS:
            self.fail(f"makes more than {OBJECTS} objects")
        self.stack.append(value)

    def remember(self, place: int) -> None:
        """Keeps the last value."""
        self.memo[place] = self.top()

    def recall(self, place: int) -> None:
        """Puts a kept value on the stack."""
        if place not in self.memo:
            self.fail(f"refers to value {place}, which was not kept")
        self.stack.append(self.memo[place])

    def name(self, module: Any, name: Any) -> None:
        """Looks a name up in the list; nothing is imported."""
        if type(module) is not str or type(name) is not str:
            self.refuse("looks up a name that is not a text")
        wanted = f"{module}.{name}"
        if wanted not in self.known:
            self.refuse(f'wants "{escaped(wanted, 120)}", which builds no tensor')
        self.stack.append(self.known[wanted])

    def call(self, callee: Any, args: Any) -> None:
        """Makes what a name of the list stands for."""
        if not isinstance(callee, Known) or callee.make is None:
            self.refuse(f"calls {named(callee)}")
        if type(args) is not tuple:
            self.fail(f"calls {callee.name} with what is not a tuple")
        try:
            self.push_made(callee.make(args))
        except RefusedError as problem:
            self.fail(f"{callee.name}: {problem}")

    def build(self) -> None:
        """Sets the state of a record; that of an OrderedDict is left out."""
        state, built = self.pop(), self.top()
        if isinstance(built, Record):
            built.state = state
        elif type(built) is not Ordered:  # the attributes of an OrderedDict (versions of modules) are no tensors
            self.refuse(f"sets the state of {named(built)}")

    def put(self, pairs: list[Any]) -> None:
        """Sets items of a dict."""
        target = self.top()
        if len(pairs) % 2:
            self.fail("a key without a value")
        if type(target) not in (dict, Ordered):
            self.refuse(f"sets items of {named(target)}")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not _is_key(key):
                self.refuse(f"takes {named(key)} as a key")
            if key in target:
                self.fail(f'the key "{escaped(key, 80)}" is set twice')
            target[key] = value

    def add(self, values: list[Any]) -> None:
        """Appends to a list."""
        target = self.top()
        if type(target) is not list:
            self.refuse(f"appends to {named(target)}")
        target.extend(values)


def named(value: Any) -> str:
    """A value as a refusal names it."""
    if isinstance(value, Known | Record):
        return f'"{value.name}"'
    return f"a value of type {type(value).__name__}"


def _is_key(key: Any) -> bool:
    """Keys are plain values: the hash of a tuple in tuples may take for ever."""
    plain = (str, int, bytes, bool, float, type(None))
    flat = type(key) in plain or type(key) is Record  # a record is itself and equals no other
    return flat or (type(key) is tuple and all(type(one) in plain for one in key))
