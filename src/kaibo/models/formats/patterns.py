"""Regular expressions from strangers, matched in time that grows only with the name and the pattern.

PEFT looks for `(.*\\.)?(pattern)$` from the beginning of a module's name. Python's own matcher tries one way after the
other and can take for ever; here all ways are followed at once (Thompson 1968, Programming Techniques: Regular
expression search algorithm). The parser is Python's, so what a pattern means is what it means there.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

LONGEST_PATTERN, LONGEST_NAME = 1000, 2000
"""Characters of a pattern and of a name that are matched at most."""

STATES = 20_000
"""States that one pattern may have: `(a{100}){100}` has 10,000."""

STEPS = 50_000_000
"""Steps that all patterns of one adapter may take together, a few seconds."""

_PLAIN = re.compile(r"[A-Za-z0-9_\-]+(?:(?:\\)?\.[A-Za-z0-9_\-]+)*", re.ASCII)
_CATEGORIES: dict[str, Callable[[str], bool]] = {
    "CATEGORY_DIGIT": str.isdecimal,
    "CATEGORY_NOT_DIGIT": lambda one: not one.isdecimal(),
    "CATEGORY_SPACE": str.isspace,
    "CATEGORY_NOT_SPACE": lambda one: not one.isspace(),
    "CATEGORY_WORD": lambda one: one.isalnum() or one == "_",
    "CATEGORY_NOT_WORD": lambda one: not (one.isalnum() or one == "_"),
}

Test = Callable[[str], bool]
Look = Callable[[str, int], bool]


class PatternError(ValueError):
    """A pattern that is no regular expression, or one that is not read; says why."""


@dataclass
class Budget:
    """Steps that are left."""

    steps: int = STEPS

    def take(self, count: int) -> None:
        """Spends some. Raises PatternError where none are left."""
        self.steps -= count
        if self.steps < 0:
            raise PatternError("takes too long to match")


@dataclass(frozen=True)
class _Machine:
    """States by number: each reads a character that passes a test, or moves on where a look allows it."""

    reads: list[tuple[Test, int] | None] = field(default_factory=list)
    moves: list[list[tuple[Look | None, int]]] = field(default_factory=list)

    def state(self) -> int:
        """A new state."""
        if len(self.reads) >= STATES:
            raise PatternError(f"repeats its parts more than {STATES} times")
        self.reads.append(None)
        self.moves.append([])
        return len(self.reads) - 1

    def ends(self, text: str, start: int, first: int, last: int, budget: Budget) -> Iterator[int]:
        """Where in the text the machine may be done, of those that began at `first`."""
        here = {start}
        for at in range(first, len(text) + 1):
            here = self._closure(here, text, at)
            budget.take(len(here) + 1)
            if last in here:
                yield at
            if at == len(text) or not here:
                return
            read = (self.reads[state] for state in here)
            here = {target[1] for target in read if target is not None and target[0](text[at])}

    def _closure(self, states: set[int], text: str, at: int) -> set[int]:
        found, waiting = set(states), list(states)
        while waiting:
            for look, target in self.moves[waiting.pop()]:
                if target not in found and (look is None or look(text, at)):
                    found.add(target)
                    waiting.append(target)
        return found


@dataclass(frozen=True)
class ModulePattern:
    """One pattern of `rank_pattern` or `alpha_pattern`. Raises PatternError for one that is not read."""

    text: str
    budget: Budget = field(default_factory=Budget, repr=False)

    def __post_init__(self) -> None:
        if len(self.text) > LONGEST_PATTERN:
            raise PatternError(f"is longer than {LONGEST_PATTERN} characters")
        try:
            _ = self._plain or self._compiled
        except RecursionError:
            raise PatternError("is nested too deeply") from None

    def matches(self, module: str) -> bool:
        """Whether `re.match(rf"(.*\\.)?({pattern})$", module)` finds something.

        >>> ModulePattern(r"layers.[0-9]+.q_proj").matches("model.layers.10.q_proj")
        True
        """
        if len(module) > LONGEST_NAME:
            raise PatternError(f"is matched against a name of {len(module)} characters; {LONGEST_NAME} are allowed")
        if self._plain is not None:
            begin = len(module) - len(self._plain)
            same = begin >= 0 and all(
                one in (".", other) and other != "\n" for one, other in zip(self._plain, module[begin:], strict=True)
            )
            return same and (begin == 0 or module[begin - 1] == ".")
        machine, start, end = self._compiled
        ends = machine.ends(module, start, 0, end, self.budget)
        return any(at == len(module) or module[at:] == "\n" for at in ends)

    @cached_property
    def _plain(self) -> str | None:
        """A pattern of letters, digits and dots alone: nothing in it repeats, so it is compared as it stands."""
        return self.text if _PLAIN.fullmatch(self.text) and "\\" not in self.text else None

    @cached_property
    def _compiled(self) -> tuple[_Machine, int, int]:
        machine = _Machine()
        start = machine.state()
        return machine, start, _Compiler(machine, self.budget).add(_parsed(rf"(.*\.)?({self.text})$"), start)


def _parsed(text: str) -> Any:
    import re._parser as parser  # type: ignore[import-not-found]

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return parser.parse(text)
    except (re.error, OverflowError, RecursionError) as problem:
        raise PatternError(f"is no regular expression ({problem})") from None


@dataclass(frozen=True)
class _Compiler:
    """Adds the parts of a parsed pattern to a machine; each takes the state before it and gives the one after."""

    machine: _Machine
    budget: Budget

    def add(self, parts: Any, at: int) -> int:
        for operation, argument in parts:
            at = self._one(str(operation), argument, at)
        return at

    def _one(self, operation: str, argument: Any, at: int) -> int:
        match operation:
            case "MAX_REPEAT" | "MIN_REPEAT":
                least, most, inner = argument
                return self._repeat(least, most, inner, at)
            case "BRANCH":
                return self._branch(argument[1], at)
            case "SUBPATTERN":
                _, added, removed, inner = argument
                if added & ~int(re.UNICODE) or removed:
                    raise PatternError("sets flags, which is not read")
                return self.add(inner, at)
            case "AT":
                return self._look(_place(str(argument)), at)
            case "ASSERT" | "ASSERT_NOT":
                return self._assertion(argument, at, wanted=operation == "ASSERT")
        target = self.machine.state()
        self.machine.reads[self._fresh(at)] = _test(operation, argument), target
        return target

    def _fresh(self, at: int) -> int:
        """A state that reads nothing yet, reached from `at` for nothing."""
        state = self.machine.state()
        self.machine.moves[at].append((None, state))
        return state

    def _look(self, look: Look | None, at: int) -> int:
        state = self.machine.state()
        self.machine.moves[at].append((look, state))
        return state

    def _branch(self, branches: Sequence[Any], at: int) -> int:
        after = self.machine.state()
        for branch in branches:
            self.machine.moves[self.add(branch, self._fresh(at))].append((None, after))
        return after

    def _repeat(self, least: int, most: int, inner: Any, at: int) -> int:
        for _ in range(least):
            at = self._fresh(self.add(inner, at))
        if str(most) == "MAXREPEAT":
            begin = self._fresh(at)
            self.machine.moves[self.add(inner, begin)].append((None, begin))
            return self._fresh(begin)
        after = self.machine.state()
        for _ in range(most - least):
            self.machine.moves[at].append((None, after))
            at = self._fresh(self.add(inner, at))
        self.machine.moves[at].append((None, after))
        return after

    def _assertion(self, argument: Any, at: int, *, wanted: bool) -> int:
        direction, inner = argument
        if direction < 0:
            raise PatternError("looks behind, which is not read")
        machine = _Machine()
        start = machine.state()
        end = _Compiler(machine, self.budget).add(inner, start)
        budget = self.budget
        return self._look(
            lambda text, place: any(True for _ in machine.ends(text, start, place, end, budget)) is wanted, at
        )


def _place(name: str) -> Look:
    """What `^`, `$`, `\\b` … ask of a place in a text."""
    match name:
        case "AT_BEGINNING" | "AT_BEGINNING_STRING":
            return lambda text, at: at == 0
        case "AT_END":
            return lambda text, at: at == len(text) or text[at:] == "\n"
        case "AT_END_STRING":
            return lambda text, at: at == len(text)
        case "AT_BOUNDARY" | "AT_NON_BOUNDARY":
            word = _CATEGORIES["CATEGORY_WORD"]

            def boundary(text: str, at: int) -> bool:
                before, after = at > 0 and word(text[at - 1]), at < len(text) and word(text[at])
                return (before != after) is (name == "AT_BOUNDARY")

            return boundary
    raise PatternError(f"asks for {name}, which is not read")


def _test(operation: str, argument: Any) -> Test:
    """Which characters a part of a pattern reads."""
    match operation:
        case "LITERAL":
            return lambda one: one == chr(argument)
        case "NOT_LITERAL":
            return lambda one: one != chr(argument)
        case "ANY":
            return lambda one: one != "\n"
        case "IN":
            tests = [_member(str(kind), value) for kind, value in argument if str(kind) != "NEGATE"]
            negated = any(str(kind) == "NEGATE" for kind, _ in argument)
            return lambda one: any(test(one) for test in tests) is not negated
    raise PatternError(f"uses {operation.lower().replace('_', ' ')}, which is not read")


def _member(kind: str, value: Any) -> Test:
    match kind:
        case "LITERAL":
            return lambda one: one == chr(value)
        case "RANGE":
            return lambda one: value[0] <= ord(one) <= value[1]
        case "CATEGORY" if str(value) in _CATEGORIES:
            return _CATEGORIES[str(value)]
    raise PatternError(f"uses {kind.lower()}, which is not read")
