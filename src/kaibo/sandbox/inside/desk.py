"""The program that judges: it runs a problem's test, and asks the sample, in its own process, for each value.

The reference solution, the helpers of the test and all expected values live here, where no sample ever runs. What
comes back from a sample is built anew from plain text, so every comparison is between values of built-in types.
One desk serves all samples of a problem, one after the other, each in a fresh namespace.
"""

import ast
import builtins
import random
from collections.abc import Callable
from typing import Any

from kaibo.sandbox.inside.channel import Channel, opened
from kaibo.sandbox.inside.oracles import agreed
from kaibo.sandbox.inside.plain import Handle, TooMuch, read, written
from kaibo.sandbox.inside.strict import STRICT, equal, free_names, strict, top_names


class Ended(BaseException):
    """The sample's process is gone; nothing more can be asked of it."""


class Unfit(BaseException):
    """The problem asks for what cannot cross to a sample: a function or an object as an argument."""


class Asked:
    """The sample as the test sees it: calls cross over, values come back. Remembers what the sample raised."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.calls = 0
        self.raised: BaseException | None = None

    def ask(self, how: str, target: Any, given: tuple[Any, ...], named: dict[str, Any] | None = None) -> Any:
        """The value that the sample gives, or the exception that it raises."""
        self.calls += 1
        try:
            self.channel.say("ask", written((how, target, given, named or {})))
        except TooMuch:
            raise Unfit("an argument of the sample is not a plain value") from None
        word, text = self.channel.hear()
        if word == "raised":
            kind, name, says = read(text)
            self.raised = _rebuilt(kind, f"{name}: {says}" if name != kind else says)
            raise self.raised
        if word != "value":
            raise Ended
        value, changed = read(text, lambda number, kind: Remote(self, number, kind))
        if value is None and changed is not None:  # a sample that writes to the channel may claim both
            for mine, theirs in zip(given, changed, strict=True):
                _written_back(mine, theirs)
        return value


class Remote(Handle):
    """An object of the sample's that stayed there. It can be called, asked and iterated; it is equal to nothing."""

    __slots__ = ("_asked",)

    def __init__(self, asked: Asked, number: int, kind: str) -> None:
        Handle.__init__(self, number, kind)
        object.__setattr__(self, "_asked", asked)

    def __call__(self, *given: Any, **named: Any) -> Any:
        """What the object gives when the sample calls it."""
        return self._asked.ask("object", self, given, named)

    def __getattr__(self, name: str) -> Any:
        return self._asked.ask("do", "getattr", (self, name))

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("number", "kind"):
            object.__setattr__(self, name, value)
        else:
            self._asked.ask("do", "setattr", (self, name, value))

    def __len__(self) -> int:
        return int(self._asked.ask("do", "len", (self,)))

    def __getitem__(self, key: Any) -> Any:
        return self._asked.ask("do", "item", (self, key))

    def __contains__(self, value: Any) -> bool:
        return any(equal(value, each) for each in self)  # the sample gives members; which is equal is said here

    def __iter__(self) -> Any:
        return iter(self._asked.ask("do", "all", (self,)))

    def __str__(self) -> str:
        return str(self._asked.ask("do", "str", (self,)))

    def __bool__(self) -> bool:
        return bool(self._asked.ask("do", "bool", (self,)))

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return hash((Remote, self.number))


EXCEPTIONS: dict[str, type[BaseException]] = {
    name: kind
    for name, kind in vars(builtins).items()
    if isinstance(kind, type)
    and issubclass(kind, BaseException)
    and not issubclass(kind, StopIteration | StopAsyncIteration | GeneratorExit)
}


def _rebuilt(kind: str, says: str) -> BaseException:
    """An exception of the built-in class of that name.

    The name comes from the sample, so it is looked up among exceptions alone: any other built-in would be a call that
    the sample makes here. What ends an iterator would end one of the test's own without a word, so it is another error.
    """
    found = EXCEPTIONS.get(kind, RuntimeError) if isinstance(kind, str) else RuntimeError
    try:
        return found(says)
    except TypeError:  # a class whose arguments are others, such as UnicodeDecodeError
        return ValueError(says)


def _written_back(mine: Any, theirs: Any) -> None:
    """What a function that returns nothing did to its arguments."""
    if type(mine) is not type(theirs):
        return
    if isinstance(mine, list | bytearray):
        mine[:] = theirs
    elif isinstance(mine, dict | set):
        mine.clear()
        mine.update(theirs)


Judge = Callable[[Asked], None]


def main(plan: dict[str, Any]) -> None:
    """Serve until kaibo hangs up: first the problem, then one sample after the other."""
    channel = opened(plan)
    judge = _prepared(channel)
    while True:
        channel.hear()
        random.seed(0)
        asked = Asked(channel)
        channel.say("judged", written(_verdict(judge, asked)))


def _prepared(channel: Channel) -> Judge:
    problem = read(channel.hear()[1])
    try:
        judge = PREPARED[problem["form"]](problem)
    except BaseException as error:  # noqa: BLE001 - a problem that cannot be set up is told, whatever it raises
        judge = None
        channel.say("broken", written(_told(error)))
    else:
        channel.say("ready")
    return judge or (lambda _asked: None)


def _verdict(judge: Judge, asked: Asked) -> tuple[str, str, int]:
    """(verdict, why, how many times the sample was asked)."""
    try:
        judge(asked)
    except Ended:
        return "ended", "", asked.calls
    except Unfit as error:
        return "broken", str(error), asked.calls
    except BaseException as error:  # noqa: BLE001 - what a test raises over a sample's value is an answer
        verdict = "broken" if not asked.calls else "error" if error is asked.raised else "wrong"
        return verdict, _told(error), asked.calls
    return ("passed", "", asked.calls) if asked.calls else ("broken", "the test never asked the sample", 0)


def _told(error: BaseException) -> str:
    says = str(error)[:200]
    return f"{type(error).__name__}: {says}" if says else type(error).__name__


def _run(code: str, name: str, namespace: dict[str, Any]) -> dict[str, Any]:
    exec(compile(code, name, "exec"), namespace)
    return namespace


def _strict(code: str) -> Any:
    return compile(strict(ast.parse(code)), "<test>", "exec")


def _reference(problem: dict[str, Any]) -> dict[str, Any]:
    """The names of the reference. Where nobody solved the problem, those of its prompt, as far as it is code."""
    code = problem["reference"]
    for ending in ("",) if problem["solved"] else ("\n    pass\n", "", None):
        try:
            return _run("" if ending is None else code.rstrip() + ending, "<reference>", {"__name__": "reference"})
        except SyntaxError:
            if problem["solved"]:
                raise
    raise AssertionError("nothing is always code")


def _of_check(problem: dict[str, Any]) -> Judge:
    """A test that defines `check(candidate)`. The names of the reference, its own among them, are the reference's."""
    reference = _reference(problem)
    test = _strict(problem["test"])
    own = reference.get(problem["entry"]) if problem["solved"] else None

    def judge(asked: Asked) -> None:
        def candidate(*given: Any, **named: Any) -> Any:
            return asked.ask("name", problem["entry"], given, named)

        names = reference | STRICT | {"candidate": candidate, problem["entry"]: own or candidate}
        exec(test, names)
        names["check"](candidate)

    return judge


def _of_asserts(problem: dict[str, Any]) -> Judge:
    """A list of asserts that name the functions of the sample; what they name otherwise is set up here."""
    setup = problem["setup"]
    code = "\n".join(problem["tests"])
    known = top_names(setup) | top_names(code)
    asked_for = (free_names(code) - set(vars(builtins)) - known) | (top_names(problem["reference"]) & free_names(code))
    loose = free_names(setup) - set(vars(builtins)) - known
    test = _strict(setup + "\n" + code)

    def judge(asked: Asked) -> None:
        def named(name: str) -> Callable[..., Any]:
            return lambda *given, **keys: asked.ask("name", name, given, keys)

        exec(test, {"__name__": "test", **STRICT, **{name: named(name) for name in asked_for | loose}})

    return judge


def _of_pairs(problem: dict[str, Any]) -> Judge:
    """Inputs, each judged against what the reference gives, or against the output beside it."""
    expected: list[tuple[Any, Any]] = problem["pairs"]
    reference: Callable[..., Any] | None = None
    if problem["solved"]:
        reference = _run(problem["reference"], "<reference>", {"__name__": "reference"})[problem["entry"]]
        expected = [(given, reference(*read(written(given)))) for given, _ in expected]

    def judge(asked: Asked) -> None:
        for given, wanted in expected:
            got = asked.ask("name", problem["entry"], tuple(read(written(given))))
            if not agreed(problem["entry"], problem["oracle"], problem["tolerance"], given, wanted, got):
                raise AssertionError(f"{problem['entry']}{tuple(given)!r:.120} gave {got!r:.80}, not {wanted!r:.80}")

    return judge


PREPARED: dict[str, Callable[[dict[str, Any]], Judge]] = {
    "check": _of_check,
    "asserts": _of_asserts,
    "pairs": _of_pairs,
}
