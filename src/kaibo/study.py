"""A study: a question with claims. Measured by what it imports from `kaibo`, judged by computation.

A study is a folder: `study.py` (defines `study`; imports of this project only `kaibo` and, with `from .part import …`,
what lies beside it), `claims.toml` (every number its source reported), `words.toml` (question, method and what follows,
in English and Japanese) and `full.toml` (the addresses to run it at full size).
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from kaibo.documents.toml_text import read_toml
from kaibo.errors import FormatError, MissingError
from kaibo.vocabulary import Finding
from kaibo.vocabulary.claims import Claim, Judgement, Outcome, judge
from kaibo.words import given

ORDER = ("benford", "scaling", "task_vectors", "trajectories", "llama_family")
"""The studies that ship, in the order in which they are read."""


OPTIONAL = ("absolute", "relative", "scale", "alternative", "sentence", "command")
"""What a claim may say beside what it must; a `command` above all claims is that of every claim without its own."""


@dataclass(frozen=True)
class Inputs:
    """What a study is run on: models, tables, texts and tasks by address, groups and members of a manifest.

    `columns` chooses among the columns of the tables (`GLP_*`), where any of a table fits; `small` asks for the small
    form; `settings` are those of reading (store, workers, progress).
    """

    models: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    columns: str | None = None
    texts: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    members: tuple[Mapping[str, Any], ...] = ()
    small: bool = False
    settings: Any = None


@dataclass(frozen=True)
class Results:
    """What a study found: findings to be drawn and tabled, outcomes that answer claims, sentences of what stands out.

    The keys of `findings` are those of the titles in the study's words; a sentence is the key of one of its
    sentences there, and what fills its blanks. The first three stand on the index beside the picture that `cover`
    names: the key of a finding, or `key:figure`; the first that is drawn by default.
    """

    findings: Mapping[str, Finding[Any]] = field(default_factory=dict)
    outcomes: tuple[Outcome, ...] = ()
    sentences: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    cover: str = ""


@dataclass(frozen=True)
class Study:
    """A question, and how it is answered: `measure` gathers rows from inputs, `analyse` turns them into results.

    `measure` may read and run models; `analyse` only computes.
    """

    name: str
    measure: Callable[[Inputs], Any]
    analyse: Callable[[Any], Results]


@dataclass(frozen=True)
class Declared:
    """A study with everything its folder says: `words` by language, `full` as its TOML has it."""

    study: Study
    folder: Path
    claims: tuple[Claim, ...]
    words: Mapping[str, Mapping[str, Any]]
    full: Mapping[str, Any]

    def sentence(self, key: str, values: Mapping[str, Any], language: str) -> str:
        """A sentence of the study with its blanks filled; numbers are formatted as the sentence says."""
        sentences = self.words.get(language, {}).get("sentences", {})
        template: str = sentences.get(key) or self.words["en"]["sentences"][key]
        return template.format(**values)

    def word(self, key: str, language: str) -> Any:
        """A text of the study in a language, in English where it has no other."""
        return self.words.get(language, {}).get(key, self.words["en"].get(key, ""))


@dataclass(frozen=True)
class Ran:
    """A study that was run: what it found, and a judgement of every claim."""

    declared: Declared
    results: Results
    judgements: tuple[Judgement, ...]


def run(declared: Declared, inputs: Inputs, language: str = "en") -> Ran:
    """Measures, analyses, judges. Raises whatever the study's own steps raise."""
    results = declared.study.analyse(declared.study.measure(inputs))
    outcomes = {outcome.name: outcome for outcome in results.outcomes}
    return Ran(declared, results, judge(declared.claims, outcomes, language))


def shipped() -> list[str]:
    """The names of the studies that came with kaibo."""
    there = {path.parent.name for path in home().glob("*/study.py")}
    return [name for name in ORDER if name in there] + sorted(there - set(ORDER))


def declared(name: str) -> Declared:
    """The study of a name that ships, or of a folder. Raises MissingError, or FormatError for a malformed folder."""
    folder = home() / name if name in shipped() else Path(name)
    if not (folder / "study.py").is_file():
        near = get_close_matches(name, shipped(), 1)
        hint = f"did you mean {near[0]}?" if near else f"the studies that ship: {', '.join(shipped())}"
        raise MissingError("is no study: it has no study.py", file=name, next=hint)
    words = _toml(folder / "words.toml")
    if "en" not in words:
        raise FormatError('has no table "en"', file=folder / "words.toml", next="question, source, method, follows")
    given(folder / "words.toml")  # its notes are made while it is loaded
    study = _loaded(folder)
    full = _toml(folder / "full.toml") if (folder / "full.toml").is_file() else {}
    return Declared(study, folder, tuple(_claims(folder / "claims.toml")), words, full)


def home() -> Path:
    """Where the studies lie: beside `src` in a checkout, else the package of the wheel."""
    beside = Path(__file__).resolve().parents[2] / "studies"
    packed = None if beside.is_dir() else importlib.util.find_spec("kaibo_studies")
    if packed is not None and packed.submodule_search_locations:
        return Path(next(iter(packed.submodule_search_locations)))
    return beside


def _loaded(folder: Path) -> Study:
    package = f"kaibo_study_{folder.resolve().name}"
    for known in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[known]  # another folder of this name, or this one as it was
    spec = importlib.machinery.ModuleSpec(package, None, is_package=True)
    spec.submodule_search_locations = [str(folder.resolve())]
    sys.modules[package] = importlib.util.module_from_spec(spec)
    try:
        module = importlib.import_module(f"{package}.study")
    except Exception as problem:
        raise FormatError(f"cannot be imported: {problem}", file=folder / "study.py") from problem
    study = getattr(module, "study", None)
    if not isinstance(study, Study):
        raise FormatError(
            "defines no study", file=folder / "study.py", next="study = kaibo.Study(name, measure, analyse)"
        )
    return study


def _toml(path: Path) -> dict[str, Any]:
    return read_toml(path, "a study has study.py, claims.toml and words.toml")


def _claims(path: Path) -> Iterator[Claim]:
    seen: set[str] = set()
    whole = _toml(path)
    usual = {"command": str(whole.get("command", ""))}
    for record in _sequence(whole.get("claim", []), path):
        try:
            reported = record["reported"]
            known = usual | {name: record[name] for name in OPTIONAL if name in record}
            claim = Claim(
                id=record["id"],
                text={language: record[language] for language in ("en", "ja") if language in record},
                source=record["source"],
                reported=tuple(reported) if isinstance(reported, list) else reported,
                of=record["of"],
                **known,
            )
        except (KeyError, TypeError) as wrong:
            raise FormatError(f"a claim lacks {wrong}", file=path, next="id, en, source, reported, of") from wrong
        if claim.id in seen:
            raise FormatError(f'two claims are called "{claim.id}"', file=path)
        seen.add(claim.id)
        yield claim


def _sequence(value: Any, path: Path) -> Sequence[Any]:
    if not isinstance(value, list):
        raise FormatError("has no list of claims", file=path, next="write [[claim]]")
    return value
