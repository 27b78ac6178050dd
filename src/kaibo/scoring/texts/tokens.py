"""A text as token ids, and where each token stands in the text: in characters and in the original bytes."""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from kaibo.errors import MissingError, UsageError, missing_extra
from kaibo.models.tokenizer_files import check_tokenizer

if TYPE_CHECKING:
    from kaibo.scoring.texts.plain_tokenizers import Plain
    from kaibo.scoring.texts.texts import Document

Lead = Literal["auto", "always", "never"]
"""Whether a beginning-of-sequence token stands before a text: as the tokenizer does it, always, or never."""

FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model"),
    *("vocab.json", "merges.txt", "vocab.txt", "chat_template.jinja", "spiece.model", "sentencepiece.bpe.model"),
    *("tekken.json", "vocab.model", "bpe.codes", "qwen.tiktoken", "tokenizer.tiktoken"),
)
"""What a tokenizer is made of, with the kind of model that `config.json` names; where these are the same, it is."""

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


@dataclass(frozen=True)
class Encoded:
    """A text's tokens: `ids` int32, `characters` and `bytes` int64 (tokens, 2), begin and end of each.

    Spans refer to the original UTF-8 bytes. A token that is a part of a character has that character's span in
    characters and its own in bytes.
    """

    ids: NDArray[np.int32]
    characters: NDArray[np.int64]
    bytes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)


class Tokenizer:
    """A model's own tokenizer, by which text is text: what looks like a special token is spelled out."""

    def __init__(self, folder: str, plain: Plain, inner: Any = None) -> None:
        self._inner = inner
        self._backend = plain.backend
        self._backend.no_truncation()
        self._backend.no_padding()
        self._backend.encode_special_tokens = True
        self.folder = folder
        self.bos, self.eos, self._template = plain.bos, plain.eos, plain.template
        self.adds_bos = self._adds_bos()
        said = f"{self._backend.to_str()}\0{self.bos} {self.eos} {self._begins()}"  # ids and what stands before a text
        self.hash = hashlib.sha256(said.encode()).hexdigest()[:32]

    @property
    def size(self) -> int:
        """One more than the highest id."""
        return max(self._backend.get_vocab(with_added_tokens=True).values(), default=-1) + 1

    @property
    def ordinary(self) -> NDArray[np.int64]:
        """The ids of all tokens that are not special, in rising order: what a text can be made of."""
        special = {number for number, token in self._backend.get_added_tokens_decoder().items() if token.special}
        return np.array(sorted(set(self._backend.get_vocab().values()) - special), np.int64)

    @property
    def backend(self) -> Any:
        """The tokenizer of the tokenizers library."""
        return self._backend

    @property
    def inner(self) -> Any:
        """The tokenizer of transformers, loaded when it is first asked for."""
        if self._inner is None:
            self._inner = _borrowed(self.folder)
        return self._inner

    @property
    def borrowed(self) -> bool:
        """Whether transformers was loaded for it."""
        return self._inner is not None

    def encode(self, text: str) -> list[int]:
        """The ids of a text, no token before or behind it."""
        return list(self._backend.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: list[int]) -> str:
        """The text of ids, special tokens left out."""
        whole = self._backend if self._inner is None else self._inner
        return str(whole.decode(ids, skip_special_tokens=True))

    def token(self, number: int) -> str:
        """A token as the vocabulary has it."""
        return str(self._backend.id_to_token(number))

    def lead(self, how: Lead) -> tuple[int, ...]:
        """The token before a text. Raises UsageError where one is asked for and the tokenizer has none."""
        if how == "never" or (how == "auto" and not self.adds_bos):
            return ()
        if self.bos is None:
            raise UsageError("the tokenizer has no beginning-of-sequence token", file=self.folder, next="--bos never")
        return (self.bos,)

    def located(self, document: Document) -> Encoded:
        """A document's tokens and their places."""
        found = self._backend.encode(document.text, add_special_tokens=False)
        ids = np.array(found.ids, np.int32)
        characters = np.array(found.offsets, np.int64).reshape(-1, 2)
        return Encoded(ids, characters, byte_spans(document, found.tokens, characters))

    def notes(self, lead: Lead, texts: Sequence[str] = ()) -> list[str]:
        """What a reader should know of the token before a text: that there is none, or that there may be two."""
        if self.bos is None:
            return ["the tokenizer has no beginning-of-sequence token: the first token of a text is not scored"]
        return [*self._notes(lead), *self._doubled(lead, texts)]

    def _notes(self, lead: Lead) -> list[str]:
        if self.bos is None or lead == "always" or (lead == "auto" and self.adds_bos):
            return []
        shown = self.token(self.bos)
        if lead == "never" and self.adds_bos:
            return [f"the tokenizer puts {shown} before a text; --bos never leaves it out"]
        return [f"the tokenizer has {shown} and puts it before no text; --bos always does"] if lead == "auto" else []

    def _doubled(self, lead: Lead, texts: Sequence[str]) -> Iterator[str]:
        """Where a second one might come from: the tokenizer's own doing, its chat template, or the texts."""
        if self.bos is None or not self.lead(lead):
            return
        shown = self.token(self.bos)
        if self._begins() >= 2:
            yield f"the tokenizer puts {shown} before a text {self._begins()} times; one is read"
        template = self._template or ""
        if "bos_token" in template or shown in template:
            yield f"its chat template writes {shown}, too: score what it rendered with --bos never"
        spelled = sum(text.startswith(shown) for text in texts)
        if spelled:
            yield f"{spelled} texts begin with {shown}, which is read as text behind the token itself; --bos never?"

    def _begins(self) -> int:
        """How many of these tokens the tokenizer itself puts before a text."""
        bare = self._backend.encode("", add_special_tokens=True).ids
        return next((at for at, one in enumerate(bare) if one != self.bos), len(bare))

    def _adds_bos(self) -> bool:
        return self.bos is not None and self._begins() > 0


def load_tokenizer(folder: str) -> Tokenizer:
    """The tokenizer of a folder, or the one that a GGUF file carries.

    Raises MissingError where there is none, or none that transformers reads fast.
    """
    try:
        from kaibo.scoring.texts.plain_tokenizers import Plain, carried, plain_tokenizer

        if os.path.isfile(folder) and folder.lower().endswith(".gguf"):
            return Tokenizer(folder, carried(folder))
        if not os.path.isdir(folder):
            raise MissingError("holds no tokenizer: it is no folder", file=folder, next="name the model's folder")
        plain = plain_tokenizer(folder)
    except ModuleNotFoundError as absent:
        raise missing_extra("torch", "running models") from absent
    if plain is not None:
        return Tokenizer(folder, plain)
    inner = _borrowed(folder)
    template = getattr(inner, "chat_template", None)
    found = Plain(
        inner.backend_tokenizer, inner.bos_token_id, inner.eos_token_id, template if isinstance(template, str) else None
    )
    return Tokenizer(folder, found, inner)


def _borrowed(folder: str) -> Any:
    """The tokenizer that transformers makes of a folder."""
    if os.path.lexists(path := os.path.join(folder, "tokenizer.json")):
        check_tokenizer(path)
    try:
        from transformers import AutoTokenizer
    except ModuleNotFoundError as absent:
        raise missing_extra("torch", "running models") from absent
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            inner = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as problem:  # a stranger's files: whatever transformers says about them is the answer
        reason = (str(problem).strip() or type(problem).__name__).splitlines()[0]
        raise MissingError(
            f"has no tokenizer that can be loaded: {reason}", file=folder, next="fetch tokenizer.json"
        ) from problem
    if not getattr(inner, "is_fast", False):
        raise MissingError("has only a slow tokenizer, which says no places", file=folder, next="fetch tokenizer.json")
    return inner


def byte_spans(document: Document, tokens: list[str], characters: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each token's span in bytes: that of its characters, and for parts of a character their share of it."""
    at = document.skipped + _byte_offsets(document.text)
    found = at[characters]
    if not len(found):
        return found
    shared = np.zeros(len(found), bool)
    same = (characters[1:] == characters[:-1]).all(axis=1) & (characters[1:, 1] > characters[1:, 0])
    shared[1:] |= same
    shared[:-1] |= same
    for place in np.flatnonzero(shared):
        follows = place > 0 and shared[place - 1] and same[place - 1]
        begin = found[place - 1, 1] if follows else found[place, 0]
        own = 1 if _BYTE.fullmatch(tokens[place]) else len(tokens[place])
        found[place] = begin, min(begin + own, at[characters[place, 1]])
    return found


def _byte_offsets(text: str) -> NDArray[np.int64]:
    """The byte at which each character begins, and the text's end."""
    points = np.frombuffer(text.encode("utf-32-le"), "<u4")
    widths = 1 + (points > 0x7F).astype(np.int64) + (points > 0x7FF) + (points > 0xFFFF)
    return np.concatenate([[0], np.cumsum(widths)])
