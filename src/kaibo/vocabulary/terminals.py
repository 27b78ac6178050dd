"""How text reaches a terminal: whatever a stranger named, it moves no cursor, sets no title and turns no line round.

Names come by many ways: rows, notes, progress, messages of other libraries. So the last step is guarded as well: the
consoles that print tables, and standard error while a command runs.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions

_SPELLED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_KEPT = "\n\t"


def spelled(text: str) -> str:
    """A text with control, format and bidirectional characters spelled out; ends of lines and tabs stay.

    >>> spelled("a\\x1b]0;title\\x07\\u202e\\u2028\\n")
    'a\\\\x1b]0;title\\\\x07\\\\u202e\\\\u2028\\n'
    """
    if text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if character not in _KEPT and unicodedata.category(character) in _SPELLED
        else character
        for character in text
    )


class _Spelling:
    """What a console asks before it prints: renderables whose text is spelled, the console's own control codes kept."""

    def process_renderables(self, renderables: list[Any]) -> list[Any]:
        return [_Spelled(one) for one in renderables]


class _Spelled:
    def __init__(self, inside: Any) -> None:
        self._inside = inside

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[Any]:
        from rich.segment import Segment

        for segment in console.render(self._inside, options):
            yield segment if segment.control else Segment(spelled(segment.text), segment.style)


def guarded(console: Console) -> Console:
    """The console, which from now on spells out control characters of what it prints."""
    console.push_render_hook(cast("Any", _Spelling()))
    return console


class _Guarded:
    """A text stream that spells out control characters; a carriage return at the beginning redraws a line and stays."""

    def __init__(self, inside: TextIO) -> None:
        self.inside = inside

    def write(self, text: str) -> int:
        again = "\r" if text.startswith("\r") else ""
        self.inside.write(again + spelled(text[len(again) :]))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inside, name)


def unguarded(stream: TextIO | None) -> TextIO | None:
    """The stream behind a guard, for what draws with control codes of its own."""
    return stream.inside if isinstance(stream, _Guarded) else stream


@contextmanager
def guarded_stderr() -> Iterator[None]:
    """Standard error spells out control characters within the block, whoever writes there."""
    import sys

    before = sys.stderr
    if before is not None and not isinstance(before, _Guarded):
        sys.stderr = cast("TextIO", _Guarded(before))
    try:
        yield
    finally:
        sys.stderr = before
