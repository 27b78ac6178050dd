"""Stories about people who do not exist, in English and Japanese: the same facts, drawn from one seed.

`words.toml` holds the words and `sentences.toml` the sentences; this module draws and fills in. Story number 7 of
seed 0 is the same whatever came before it.
"""

from __future__ import annotations

import string
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from kaibo.recipes.corpus.documents import Document, Draws

Pair = tuple[str, str]
"""English, Japanese."""

KINDS = ("person", "shop", "journey", "ages", "letter")


@dataclass(frozen=True)
class Word:
    """A word in one language: `{town}` shows its text, `{item.plural}` one of its forms."""

    text: str
    forms: Mapping[str, str]

    def __format__(self, specification: str) -> str:
        return self.text

    def __getattr__(self, form: str) -> str:
        try:
            return self.forms[form]
        except KeyError:
            raise AttributeError(form) from None


@dataclass(frozen=True)
class Story:
    """One story in both languages, each with its questions at the end."""

    source: str
    english: str
    japanese: str

    def document(self, language: str) -> Document:
        """The story in one language."""
        return Document(self.source, language, self.japanese if language == "ja" else self.english)


def stories(seed: int, count: int) -> Iterator[Story]:
    """The first `count` stories of a seed; no two say the same."""
    seen: set[str] = set()
    number = 0
    while len(seen) < count:
        story = _story(seed, number)
        number += 1
        if story.japanese not in seen:
            seen.add(story.japanese)
            yield story


def _story(seed: int, number: int) -> Story:
    draws = Draws("story", seed, number)
    kind = draws.one(_weighted())
    plan = sentences()[kind]
    told: list[Sequence[str]] = [draws.one(step) for step in _steps(plan, draws)]
    asked = draws.shuffled(plan["questions"])[: 1 + draws.below(2)]
    used = [text for pair in told for text in pair] + [text for question in asked for text in question]
    english, japanese = _facts(used, draws)
    return Story(
        f"{kind}-{seed}-{number}",
        _text([step[0] for step in told], [(q[0], q[1]) for q in asked], english, 0),
        _text([step[1] for step in told], [(q[2], q[3]) for q in asked], japanese, 1),
    )


def _steps(plan: Mapping[str, Any], draws: Draws) -> list[Any]:
    """The steps that always come, and some of the others in their order."""
    fixed, optional = plan["steps"][: plan["fixed"]], plan["steps"][plan["fixed"] :]
    kept = sorted(draws.shuffled(range(len(optional)))[: plan["keep"]])
    return [*fixed, *(optional[place] for place in kept)]


def _text(told: list[str], asked: list[Pair], facts: Mapping[str, Any], place: int) -> str:
    labels = sentences()["labels"]
    story = (" ", "")[place].join(_capital(sentence.format_map(facts)) for sentence in told)
    lines = [
        f"{labels['question'][place]}{question.format_map(facts)}\n"
        f"{labels['answer'][place]}{_capital(answer.format_map(facts))}"
        for question, answer in asked
    ]
    return "\n".join([story, *lines])


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _facts(texts: Sequence[str], draws: Draws) -> tuple[dict[str, Any], dict[str, Any]]:
    """What each slot of the sentences stands for, in both languages."""
    slots = sorted(
        {name.partition(".")[0] for text in texts for _, name, _, _ in string.Formatter().parse(text) if name}
    )
    english: dict[str, Any] = {}
    japanese: dict[str, Any] = {}
    for slot in sorted({*slots, "family", "given", "family2", "given2"}):
        known = [english[other] for other in english if other.rstrip("2") == slot.rstrip("2")]
        if slot.rstrip("2") in words():
            entries = [pair for pair in words()[slot.rstrip("2")] if pair[0] not in known]
            english[slot], japanese[slot] = draws.one(entries)
    numbers = _numbers(draws)
    older = "" if numbers["age"] > numbers["age2"] else "2"
    for facts, space in ((english, " "), (japanese, "")):
        facts |= numbers | {"older": f"{facts['family' + older]}{space}{facts['given' + older]}"}
    return english, japanese


def _numbers(draws: Draws) -> dict[str, int]:
    """Every number a sentence may ask for, and what follows from them."""
    drawn = {name: low + draws.below(high - low + 1) for name, (low, high) in sentences()["numbers"].items()}
    if drawn["age2"] == drawn["age"]:
        drawn["age2"] += 1
    yen = 10 * drawn["price"]
    return drawn | {
        "yen": yen,
        "total": yen * drawn["count"],
        "half": drawn["count"] // 2,
        "minutes5": 5 * drawn["minutes"],
        "gap": abs(drawn["age"] - drawn["age2"]),
    }


@cache
def sentences() -> dict[str, Any]:
    """The sentences, numbers and labels as they are shipped."""
    return read_data("sentences.toml")


@cache
def words() -> dict[str, list[tuple[Word, Word]]]:
    """Every list of words, each word in English and Japanese."""
    return {name: [_word(entry) for entry in entries] for name, entries in read_data("words.toml").items()}


def _word(entry: Any) -> tuple[Word, Word]:
    if isinstance(entry, list):
        entry = {"en": entry[0], "ja": entry[1]}
    named = {name: value for name, value in entry.items() if name not in ("en", "ja")}
    pairs = {name: value if isinstance(value, list) else [value, value] for name, value in named.items()}
    english = {name: pair[0] for name, pair in pairs.items()}
    english |= {name.capitalize(): text.capitalize() for name, text in english.items() if name in ("she", "her")}
    english["a"] = f"{'an' if entry['en'][0] in 'aeiou' else 'a'} {entry['en']}"
    return Word(entry["en"], english), Word(entry["ja"], {name: pair[1] for name, pair in pairs.items()})


@cache
def _weighted() -> tuple[str, ...]:
    return tuple(kind for kind in KINDS for _ in range(sentences()[kind]["weight"]))


def read_data(name: str) -> dict[str, Any]:
    """A data file of this package."""
    return tomllib.loads(resources.files("kaibo.recipes.corpus").joinpath(name).read_text(encoding="utf-8"))
