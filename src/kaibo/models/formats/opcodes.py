"""What each opcode of a pickle does to the machine of `pickles`, and the loop that follows them to the end.

Source: Lib/pickletools.py of CPython, protocols 0 to 5.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping
from typing import Any

from kaibo.errors import escaped
from kaibo.models.formats.pickles import LONGEST_NAME, LONGEST_NUMBER, Known, Machine, RefusedError, named

STEPS = 1 << 21
"""Opcodes that are followed at most."""


def interpret(
    data: bytes, file: str, known: Mapping[str, Known], persistent: Callable[[Any], Any], base: int = 0
) -> Any:
    """The value that a pickle describes; `persistent` gives what a persistent id stands for, `base` is its offset.

    Raises FormatError for what is malformed or larger than the limits, PolicyError naming what it wants beyond the
    list.
    """
    machine = Machine(data, file, base, known, persistent)
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
Step = Callable[[Machine], None]


def _push(kind: str, size: int) -> Step:
    return lambda m: m.stack.append(m.number(kind, size))


def _text(kind: str, size: int, errors: str = "surrogatepass") -> Step:
    return lambda m: m.stack.append(_decoded(m, m.take(m.number(kind, size)), errors))


def _bytes(kind: str, size: int) -> Step:
    return lambda m: m.stack.append(m.take(m.number(kind, size)))


def _decoded(m: Machine, data: bytes, errors: str = "surrogatepass") -> str:
    try:
        return data.decode("utf-8", errors)
    except UnicodeDecodeError:
        m.fail("a text is not UTF-8")


def _long(m: Machine, size: int) -> None:
    if size > LONGEST_NUMBER:
        m.fail(f"a number of {size} bytes")
    m.stack.append(int.from_bytes(m.take(size), "little", signed=True))


def _decimal(m: Machine) -> None:
    said = m.line(LONGEST_NUMBER).strip()
    if said in (b"00", b"01"):
        m.stack.append(said == b"01")
        return
    try:
        m.stack.append(int(said.removesuffix(b"L")))
    except ValueError:
        m.fail("a number cannot be read")


def _float(m: Machine) -> None:
    try:
        m.stack.append(float(m.line(LONGEST_NUMBER)))
    except ValueError:
        m.fail("a number cannot be read")


def _quoted(m: Machine) -> None:
    said = m.line(len(m.data)).strip()
    if len(said) < 2 or said[:1] != said[-1:] or said[:1] not in (b"'", b'"'):
        m.fail("a text without quotes")
    try:
        m.stack.append(codecs.escape_decode(said[1:-1])[0].decode("latin-1"))
    except ValueError:
        m.fail("a text with a broken escape")


def _unicode(m: Machine) -> None:
    try:
        m.stack.append(m.line(len(m.data)).decode("raw-unicode-escape"))
    except UnicodeDecodeError:
        m.fail("a text with a broken escape")


def _global(m: Machine) -> None:
    module, name = (_decoded(m, m.line(LONGEST_NAME)) for _ in range(2))
    m.name(module, name)


def _stack_global(m: Machine) -> None:
    name, module = m.pop(), m.pop()
    m.name(module, name)


def _inst(m: Machine) -> None:
    module, name = (_decoded(m, m.line(LONGEST_NAME)) for _ in range(2))
    m.refuse(f'makes an object of "{escaped(f"{module}.{name}", 120)}"')


def _obj(m: Machine) -> None:
    found = m.marked()
    m.refuse(f"makes an object of {named(found[0]) if found else 'nothing'}")


def _call(m: Machine) -> None:
    args, callee = m.pop(), m.pop()
    m.call(callee, args)


def _new_with_words(m: Machine) -> None:
    words, args, callee = m.pop(), m.pop(), m.pop()
    if words:
        m.refuse(f"makes an object of {named(callee)} with named arguments")
    m.call(callee, args)


def _extension(size: int) -> Step:
    return lambda m: m.refuse(f"wants the extension {int.from_bytes(m.take(size), 'little')} of copyreg")


def _tuple(count: int) -> Step:
    return lambda m: m.push_made(tuple([m.pop() for _ in range(count)][::-1]))


def _pairs(m: Machine) -> None:
    pairs = m.marked()
    m.push_made({})
    m.put(pairs)


def _set_item(m: Machine) -> None:
    value, key = m.pop(), m.pop()
    m.put([key, value])


def _append(m: Machine) -> None:
    value = m.pop()
    m.add([value])


def _add_items(m: Machine) -> None:
    m.marked()
    if not isinstance(m.top(), set):
        m.refuse(f"adds to {named(m.top())}")


def _pop(m: Machine) -> None:
    if m.marks and m.marks[-1] == len(m.stack):
        m.marks.pop()
    else:
        m.pop()


def _frozen(m: Machine) -> None:
    m.marked()
    m.push_made(frozenset())


def _persistent(m: Machine, value: Any) -> None:
    try:
        m.push_made(m.persistent(value))
    except RefusedError as problem:
        m.fail(str(problem))


def _protocol(m: Machine) -> None:
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


def _line_number(m: Machine) -> int:
    said = m.line(20)
    if not said.isdigit():
        m.fail("a place of the memo is no number")
    return int(said)
