"""Documents of several sources in one order: at every point each source has its share of the bytes so far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from kaibo.recipes.corpus.chats import STYLES, chats
from kaibo.recipes.corpus.documents import Document, Draws
from kaibo.recipes.corpus.python_texts import python_documents
from kaibo.recipes.corpus.worlds import stories

MIXES: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "mixed": {"python": 0.25, "stories-en": 0.2, "stories-ja": 0.4, "chats-en": 0.05, "chats-ja": 0.1},
        "english": {"python": 0.5, "stories-en": 0.4, "chats-en": 0.1},
        "japanese": {"stories-ja": 0.85, "chats-ja": 0.15},
    }
)
"""What the models of the nursery read: shares of UTF-8 bytes by source. A Japanese letter has three of them."""

STORIES = 6000
"""Stories a corpus is drawn from: 2.9 MB of Japanese, of which 1.6 MB are sentences that differ."""

HELD_OUT = 60
"""Stories, further ones of the same seed, that no model reads: what models are scored on."""


def mixed(name: str, seed: int, size: int, told: int = STORIES) -> list[Document]:
    """Documents of a mix, about `size` bytes in all, in the order in which every model reads them.

    The stories are the first `told` of the seed. A source that has been read to its end begins again in another order.
    """
    shares = MIXES[name]
    needed = {source.partition("-")[0] for source in shares}
    sources = {source: _forever(source, seed, documents) for source, documents in _sources(needed, seed, told).items()}
    taken = dict.fromkeys(shares, 0)
    out: list[Document] = []
    while sum(taken.values()) < size:
        behind = min(shares, key=lambda source: taken[source] / shares[source])
        document = next(sources[behind])
        taken[behind] += document.size
        out.append(document)
    return out


def held_out(seed: int, told: int = STORIES) -> dict[str, list[Document]]:
    """Stories that no mix holds, by language, the same facts in both."""
    last = list(stories(seed, told + HELD_OUT))[told:]
    return {language: [story.document(language) for story in last] for language in ("en", "ja")}


def _sources(needed: set[str], seed: int, count: int) -> dict[str, Sequence[Document]]:
    sources: dict[str, Sequence[Document]] = {}
    if "python" in needed:
        sources["python"] = python_documents()
    if "stories" in needed:
        told = list(stories(seed, count))
        sources |= {f"stories-{language}": [story.document(language) for story in told] for language in ("en", "ja")}
    if "chats" in needed:
        asked = chats(seed)
        for language in ("en", "ja"):
            sources[f"chats-{language}"] = [
                chat.document(style) for chat in asked if chat.language == language for style in STYLES
            ]
    return sources


def _forever(source: str, seed: int, documents: Sequence[Document]) -> Iterator[Document]:
    turn = 0
    while True:
        yield from Draws("order", source, seed, turn).shuffled(documents)
        turn += 1
