"""A folder's tokenizer: text to ids and back, and nothing a user types read as a special token."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer as Raw

from kaibo.errors import FormatError, MissingError, UsageError
from kaibo.llama.chat import Piece, Tags
from kaibo.models.addresses import Target
from kaibo.models.tokenizer_files import carried_tokenizer, carrier_of, check_tokenizer


@dataclass(frozen=True)
class Tokenizer:
    """The tokenizer of a model: `raw` is that of the tokenizers library, `tags` its special tokens.

    `settings` is `tokenizer_config.json`; `begins` says whether the tokenizer puts a token before every text.
    """

    raw: Any
    tags: Tags
    settings: Mapping[str, Any]

    @property
    def size(self) -> int:
        """One more than the largest id that a text can become."""
        return max(self.raw.get_vocab(with_added_tokens=True).values(), default=-1) + 1

    def encode(self, text: str, *, begin: bool = True, special: bool = False) -> list[int]:
        """The ids of a text; `begin` adds what the tokenizer adds around every text.

        Special tokens in the text are text unless `special`. Raises UsageError for text that is not Unicode.
        """
        self.raw.encode_special_tokens = not special
        try:
            ids: list[int] = self.raw.encode(text, add_special_tokens=begin).ids
        except (UnicodeEncodeError, TypeError):  # bytes of the command line that no text has, or a lone surrogate
            raise UsageError("the text is not valid Unicode", next="is it UTF-8?") from None
        return ids

    def prompt(self, pieces: Sequence[Piece]) -> list[int]:
        """The ids of a rendered conversation: nothing is added that its template did not write."""
        return [one for piece in pieces for one in self.encode(piece.text, begin=False, special=piece.special)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens left out."""
        text: str = self.raw.decode(list(ids), skip_special_tokens=True)
        return text

    def token(self, number: int) -> str | None:
        """The piece of text that one id stands for, in the tokenizer's own spelling."""
        found: str | None = self.raw.id_to_token(number)
        return found


def open_tokenizer(target: Target, settings: Mapping[str, Any]) -> Tokenizer | None:
    """The tokenizer of a folder, or the one that a GGUF file carries; None where there is none.

    Code that a folder brings is never run.

    Raises FormatError for one that cannot be read, PolicyError for a link out of the folder.
    """
    path = target.inside("tokenizer.json")
    if (carrier := carrier_of(target)) is not None:
        raw = Raw.from_str(carried_tokenizer(carrier))
    elif os.path.isfile(path):
        raw = _read(path, target.path("tokenizer.json"))
    elif any(os.path.isfile(target.inside(name)) for name in ("tokenizer.model", "vocab.json", "vocab.txt")):
        raw = _converted(target)
    else:
        return None
    return Tokenizer(raw, _tags(raw, settings), settings)


def _read(path: str, shown: str) -> Any:
    check_tokenizer(path, shown)
    try:
        raw = Raw.from_file(path)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as problem:  # noqa: BLE001 - the library raises plain Exceptions, and panics
        raise FormatError(f"is no tokenizer ({problem})", file=shown) from None
    raw.no_truncation()
    raw.no_padding()
    return raw


def _converted(target: Target) -> Any:
    """Older kinds of tokenizer, through transformers, which makes the same object of them."""
    from transformers import AutoTokenizer

    try:
        made = AutoTokenizer.from_pretrained(target.root, local_files_only=True, trust_remote_code=False)
        raw = made.backend_tokenizer
    except Exception as problem:  # noqa: BLE001 - transformers raises what it likes on a malformed folder
        said = f"its tokenizer cannot be read ({type(problem).__name__}: {problem})"
        raise MissingError(said, file=target.address, next="a tokenizer.json beside the weights is read") from None
    return Raw.from_str(raw.to_str())


def _tags(raw: Any, settings: Mapping[str, Any]) -> Tags:
    special = tuple(str(token.content) for token in raw.get_added_tokens_decoder().values() if token.special)
    return Tags(_tag(settings, "bos_token"), _tag(settings, "eos_token"), special)


def _tag(settings: Mapping[str, Any], name: str) -> str:
    value = settings.get(name)
    value = value.get("content") if isinstance(value, Mapping) else value  # transformers 4 wrote objects
    return value if isinstance(value, str) else ""


def tokenizer_hash(tokenizer: Tokenizer) -> str:
    """32 hex digits that name a tokenizer by what it does: the hash of its whole description."""
    import xxhash

    described = json.dumps(json.loads(tokenizer.raw.to_str()), sort_keys=True)
    return xxhash.xxh3_128_hexdigest(described.encode())
