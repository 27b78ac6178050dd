"""Texts longer than the context: overlapping windows in which every token is scored exactly once."""

from __future__ import annotations

from dataclasses import dataclass

from kaibo.errors import UsageError


@dataclass(frozen=True)
class Window:
    """Tokens `begin` to `end` of a text are read; those from `first` on are scored.

    `lead` says that the beginning-of-sequence token stands before them.
    """

    begin: int
    first: int
    end: int
    lead: bool

    @property
    def length(self) -> int:
        """Tokens that the model reads."""
        return self.end - self.begin + self.lead


@dataclass(frozen=True)
class Windowing:
    """How a text is cut: `context` tokens a window (a leading token counted), `stride` new tokens each.

    `least` is how many tokens stand at least before each scored one, those near the beginning of the text aside.
    """

    context: int
    stride: int
    least: int = 1

    def __post_init__(self) -> None:
        if self.context < 2:
            raise UsageError(f"a window of {self.context} tokens scores nothing", next="give --window 2 or more")
        if not 0 < self.stride < self.context:
            message = f"a stride of {self.stride} does not fit windows of {self.context} tokens"
            raise UsageError(message, next=f"give a --stride from 1 to {self.context - 1}")
        if self.context - self.stride < self.least:
            message = (
                f"windows of {self.context} with stride {self.stride} leave {self.context - self.stride} tokens before"
            )
            raise UsageError(f"{message}, fewer than --context-min {self.least}", next="give a smaller --stride")


def windows(tokens: int, how: Windowing, lead: bool) -> list[Window]:
    """The windows of a text of so many tokens; `lead` puts a token before its first one, so that it is scored, too.

    After the first window each scores the next `stride` tokens, with as much before them as fits.

    >>> [(w.begin, w.first, w.end) for w in windows(10, Windowing(6, 3), lead=False)]
    [(0, 1, 6), (3, 6, 9), (4, 9, 10)]
    """
    if tokens == 0:
        return []
    end = min(tokens, how.context - lead)
    found = [Window(0, 0 if lead else 1, end, lead)]
    while end < tokens:
        first, end = end, min(tokens, end + how.stride)
        begin = max(0, end - how.context)
        found.append(Window(begin, first, end, False))
    return found
