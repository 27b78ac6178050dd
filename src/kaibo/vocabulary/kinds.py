"""What a finding is: declared once, with the columns that people read and the figures it can be drawn as."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from kaibo.words import given

if TYPE_CHECKING:
    from kaibo.vocabulary.findings import Record

R = TypeVar("R", bound="Record")

Draw = Callable[[Any, str], Any]
"""A finding and a language in, an Altair chart out."""


@dataclass(frozen=True)
class Drawing:
    """One way to draw a kind: a function, or its name in the module `draw` beside the kind; the keys of its words."""

    draw: str | Draw
    title: str
    caption: str


@dataclass(frozen=True, eq=False)
class Kind(Generic[R]):
    """A kind of finding: its name, the type of its rows, what people read of it, how it is drawn, where its words lie.

    - `columns`: what a table shows to people (every column where none is named); JSON and CSV have them all
    - `figures`: its drawings by name; the first that has something to show is drawn unasked
    - `home`: the package that declares it. Its module `draw` holds the drawings, and where one of them may have nothing
      to show, a function `has(finding, name)`
    - `words`: a TOML file with its texts in English and Japanese; a chapter's `words.toml` is found without being named
    - `terms`: the columns whose values are words themselves, and the section of the word table that has them
    - `label`: the key of what stands above its table, where that is no table of a level
    - `tells`: its module `told` says it in sentences, which stand above its tables
    - `opens`: its module `opened` makes of it the findings that are tabled in its place (a row of many numbers becomes
      a row for each number)

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Half:
    ...     n: int
    ...     half: float
    >>> str(Kind("halves", Half, columns=("n", "half")))
    'halves'
    """

    name: str
    row: type[R]
    home: str = ""
    columns: tuple[str, ...] = ()
    figures: Mapping[str, Drawing] = field(default_factory=dict)
    words: Path | None = None
    terms: Mapping[str, str] = field(default_factory=dict)
    opens: bool = False
    label: str = ""
    tells: bool = False

    def __post_init__(self) -> None:
        """The words of a stranger's kind are known as soon as it is declared."""
        if self.words is not None:
            given(self.words)

    def __str__(self) -> str:
        """Its name, as JSON and file names have it."""
        return self.name

    def __repr__(self) -> str:
        """Its name, so that findings are short to look at."""
        return f"Kind({self.name!r})"

    def draws(self, name: str) -> Draw:
        """The function that makes the drawing `name`."""
        draw = self.figures[name].draw
        found: Draw = getattr(import_module(f"{self.home}.draw"), draw) if isinstance(draw, str) else draw
        return found

    def shows(self, finding: Any) -> tuple[str, ...]:
        """The drawings that have something to show for this finding."""
        if not finding.rows:
            return ()
        module = import_module(f"{self.home}.draw") if self.home and self.figures else None
        has = vars(module).get("has") if module else None
        return tuple(name for name in self.figures if has is None or has(finding, name))

    def told(self, finding: Any, language: str = "en") -> tuple[str, ...]:
        """What it says in sentences."""
        said: tuple[str, ...] = ()
        if self.tells and finding.rows:
            said = import_module(f"{self.home}.told").sentences(finding, language)
        return said

    def tabled(self, finding: Any) -> tuple[Any, ...]:
        """The findings that are shown as tables for this one: itself, or what it opens to."""
        if not self.opens or not finding.rows:
            return (finding,)
        shown: tuple[Any, ...] = import_module(f"{self.home}.opened").opened(finding)
        return shown
