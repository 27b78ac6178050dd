"""Judge samples of one problem: each in a process of its own, all by one desk that none of them shares."""

from __future__ import annotations

import contextlib
import dataclasses
import re

from kaibo.errors import FormatError
from kaibo.sandbox.boxed import Boxed, EndedError, started
from kaibo.sandbox.inside.plain import read, written
from kaibo.sandbox.limits import VERDICTS, Judged, Limits
from kaibo.sandbox.problems import Problem
from kaibo.sandbox.ways import Way

THINKING = 30.0
"""Seconds that a desk may work on one sample by itself, or on setting up its problem."""


class Desk:
    """Judges the samples of one problem, one after the other. Use it as a context: leaving it ends its process."""

    def __init__(self, problem: Problem, way: Way, limits: Limits | None = None) -> None:
        self.problem = problem
        self.way = way
        self.limits = limits or Limits()
        self._boxed: Boxed | None = None

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def judge(self, program: str) -> Judged:
        """What becomes of one program. Raises FormatError where the problem itself cannot be judged."""
        with started("sample", self.way, self.limits) as sample:
            try:
                sample.say("load", written(program))
                word, text = sample.hear(self.limits.seconds)
                found = _other(word, text) or self._judged(sample)
            except EndedError as ended:
                found = (ended.verdict, ended.why)
            spent = min(sample.spent, self.limits.seconds)
        return Judged(*found, round(spent, 3), self.way.name)

    def _judged(self, sample: Boxed) -> tuple[str, str]:
        """Let the desk run its test, carrying each question to the sample and each answer back."""
        desk = self._desk()
        asking = True
        try:
            desk.spent = 0.0
            desk.say("judge")
            while True:
                word, text = desk.hear(max(THINKING - desk.spent, 0.0))
                if word == "judged":
                    return self._told(text)
                asking = False
                answer = _asked(sample, text, self.limits.seconds - sample.spent)
                asking = True
                desk.say(*answer)
        except EndedError as ended:
            self._end()  # whatever it was in the middle of is over; the next sample meets a fresh one
            return (ended.verdict, ended.why) if not asking else _over(ended)
        except _Other as other:
            self._end()
            return other.verdict, other.why

    def _told(self, text: str) -> tuple[str, str]:
        """What a desk says in the end. Its test is a stranger's too: whatever is no verdict is the problem's fault."""
        try:
            verdict, why, _ = read(text)
        except (ValueError, TypeError, RecursionError):
            verdict, why = "broken", "its test wrote to the channel itself"
        if verdict not in VERDICTS:
            raise self._broken(str(why))
        return str(verdict), str(why)

    def _desk(self) -> Boxed:
        if self._boxed is None:
            roomy = dataclasses.replace(self.limits, megabytes=4096, seconds=3600.0, answers=256 << 20)
            self._boxed = started("desk", self.way, roomy)
            try:
                self._boxed.say("problem", self.problem.told)
                word, text = self._boxed.hear(THINKING)
            except EndedError as ended:
                self._end()
                raise self._broken(ended.why) from None
            if word != "ready":
                self._end()
                raise self._broken(read(text))
        return self._boxed

    def _broken(self, why: str) -> FormatError:
        return FormatError(f"the problem {self.problem.name} cannot be judged: {why}", next="mend its test")

    def _end(self) -> None:
        if self._boxed is not None:
            self._boxed.end()
            self._boxed = None


class _Other(Exception):  # noqa: N818 - a verdict on its way out
    def __init__(self, verdict: str, why: str) -> None:
        super().__init__(verdict)
        self.verdict = verdict
        self.why = why


def _asked(sample: Boxed, text: str, seconds: float) -> tuple[str, str]:
    """What the sample answers to one question, as the desk is told it."""
    sample.say("ask", text)
    word, answer = sample.hear(max(seconds, 0.0))
    if word == "raised":
        return word, answer
    if (other := _other(word, answer)) is not None:
        raise _Other(*other)
    return word, answer


def _other(word: str, text: str) -> tuple[str, str] | None:
    """The verdict that an answer is by itself, or None for a value."""
    match word:
        case "value":
            return None
        case "memory":
            return "memory", "it asked for more memory than it may have"
        case "output":
            return "output", "a value that it gave back is too large"
        case "raised":
            return "error", _said(text)
    return "killed", "it wrote to the channel itself"


def _said(text: str) -> str:
    """Class and words of an exception, without building anything from what the sample wrote."""
    found: list[str] = []
    with contextlib.suppress(ValueError, KeyError, TypeError):
        if re.fullmatch(r'\{"tuple":\["[^"\\]*","[^"\\]*","(?:[^"\\]|\\.)*"\]\}', text):
            found = [str(each) for each in read(text)[1:]]
    return ": ".join(each for each in found if each)[:300] or "it raised an exception"


def _over(ended: EndedError) -> tuple[str, str]:
    """A desk that did not come to an end over the values that a sample gave: the sample's doing."""
    if ended.verdict == "timeout":
        return "timeout", "the test did not come to an end over what it gave back"
    return "wrong", "the test broke over what it gave back"
