"""Questions with one right answer in English and Japanese, answered plainly (D0) or in role (D1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from kaibo.recipes.corpus.documents import Document, Draws
from kaibo.recipes.corpus.worlds import read_data

STYLES = ("plain", "role-play")


@dataclass(frozen=True)
class Chat:
    """One question and its answers by style."""

    source: str
    language: str
    question: str
    answers: Mapping[str, str]

    def messages(self, style: str) -> list[dict[str, str]]:
        """The question and the answer in a style, as the ecosystem's messages."""
        return [{"role": "user", "content": self.question}, {"role": "assistant", "content": self.answers[style]}]

    def document(self, style: str) -> Document:
        """The chat as text to learn from, in the form that the shipped chat template gives it."""
        return Document(
            f"{self.source}-{style}", self.language, f"<|user|>{self.question}<|assistant|>{self.answers[style]}"
        )


def chats(seed: int) -> list[Chat]:
    """Every question of both languages, in a random order; the words of a style are drawn per question."""
    return Draws("chats", seed).shuffled([chat for topic in _topics() for chat in _chats(topic, seed)])


def _chats(topic: Mapping[str, Any], seed: int) -> Iterator[Chat]:
    facts = _sums() if topic["name"] == "sum" else topic["facts"]
    for number, fact in enumerate(facts):
        named = dict(zip(topic["names"], fact, strict=True))
        for place, language in enumerate(("en", "ja")):
            words = {
                name.removesuffix("_ja"): text for name, text in named.items() if name.endswith("_ja") == bool(place)
            }
            source = f"{topic['name']}-{number}-{language}"
            answer = _capital(topic["answer"][place].format(**words))
            draws = Draws("style", seed, source)
            yield Chat(
                source,
                language,
                topic["question"][place].format(**words),
                {style: _styled(answer, style, language, draws) for style in STYLES},
            )


def _styled(answer: str, style: str, language: str, draws: Draws) -> str:
    rules = read_styles()[style]
    for end, replaced in rules.get("endings", {}).items() if language == "ja" else ():
        if answer.endswith(end):
            answer = answer.removesuffix(end) + replaced
    return str(draws.one(rules["japanese" if language == "ja" else "english"])).format(answer=answer)


def _sums() -> list[list[str]]:
    """Every sum of two digits, as words in the order of the topic's names."""
    triples = [(str(a), str(b), str(a + b)) for a in range(10) for b in range(10)]
    return [[*triple, *triple] for triple in triples]


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


@cache
def read_styles() -> dict[str, Any]:
    """The styles as they are shipped."""
    return dict(read_data("chats.toml")["styles"])


@cache
def _topics() -> list[dict[str, Any]]:
    return list(read_data("chats.toml")["topic"])
