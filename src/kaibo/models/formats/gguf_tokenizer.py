"""The tokenizer that a GGUF file carries, as the `tokenizer.json` that every other program reads.

Sources: ggml, docs/gguf.md (keys `tokenizer.ggml.*`); llama.cpp, src/llama-vocab.cpp (what `pre` names mean and how
pieces with scores are merged); transformers, convert_slow_tokenizer.py (merges that follow from scores).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kaibo.errors import FormatError, MissingError

UNKNOWN, CONTROL, USER = 2, 3, 4
"""Kinds of tokens (`tokenizer.ggml.token_type`) that are no pieces of text, or never cut."""

MOST_SPLITS = 64
"""Characters of a piece up to which its merges are looked for; longer ones are whitespace runs, added whole."""

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORDS = r"|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def _split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def _bytes(regex: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": regex}


_GPT2 = [_bytes(regex=True)]
_DIGITS = [{"type": "Digits", "individual_digits": True}, _bytes(regex=True)]
_LLAMA3 = [_split(_CONTRACTIONS + _WORDS + r"\p{N}{1,3}" + _REST), _bytes(regex=False)]
_QWEN2 = [_split(_CONTRACTIONS + _WORDS + r"\p{N}" + _REST), _bytes(regex=False)]

PRE: Mapping[str, Sequence[Mapping[str, Any]]] = {
    **dict.fromkeys(("gpt-2", "gpt2", "default", "phi-2", "mpt", "olmo", "jina-en"), _GPT2),
    **dict.fromkeys(("smollm", "starcoder", "refact", "command-r", "codeshell"), _DIGITS),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral", "dbrx", "smaug-bpe"), _LLAMA3),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen", "stablelm2"), _QWEN2),
}
"""How texts are cut before they are merged, by the names that llama.cpp gives (`tokenizer.ggml.pre`)."""

WHOLE_FIRST = frozenset({"llama-bpe", "llama3", "llama-v3", "falcon3", "smaug-bpe"})
"""Where a word that is a token stays one, whatever the merges say (`ignore_merges`)."""


def tokenizer_document(metadata: Mapping[str, Any], file: str) -> dict[str, Any]:
    """The `tokenizer.json` of a file's metadata.

    Raises MissingError where the file carries no tokenizer or one of a kind that is not rebuilt here, FormatError
    where its lists contradict each other.
    """
    kind, tokens = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise MissingError("carries no tokenizer", file=file, next="name the folder it was made from")
    if kind not in ("gpt2", "llama"):
        raise MissingError(f"carries a tokenizer of kind {str(kind)[:40]!r}, which is not rebuilt", file=file)
    vocabulary = {token: number for number, token in enumerate(tokens)}
    if len(vocabulary) < len(tokens):
        raise FormatError("has a token twice in its vocabulary", file=file)
    kinds = _list(metadata, "token_type", len(tokens), file) or [1] * len(tokens)
    shared = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(number, tokens[number], kinds[number]) for number in range(len(tokens))
                         if kinds[number] in (CONTROL, USER, UNKNOWN)],
        "post_processor": _before(metadata, tokens),
    }  # fmt: skip
    made = _merged(metadata, vocabulary, file) if kind == "gpt2" else _scored(metadata, vocabulary, file)
    return {**shared, **made}


def _added(number: int, token: str, kind: int) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": token, **flags, "special": kind != USER}


def _list(metadata: Mapping[str, Any], key: str, length: int, file: str) -> list[Any] | None:
    found = metadata.get(f"tokenizer.ggml.{key}")
    if found is None:
        return None
    if not isinstance(found, list) or len(found) != length:
        raise FormatError(f"tokenizer.ggml.{key} does not go with its {length} tokens", file=file)
    return found


def _before(metadata: Mapping[str, Any], tokens: Sequence[str]) -> dict[str, Any] | None:
    """What stands before a text: the first token where the file says that it is added."""
    added = metadata.get("tokenizer.ggml.add_bos_token", metadata.get("tokenizer.ggml.model") == "llama")
    number = metadata.get("tokenizer.ggml.bos_token_id")
    if not added or type(number) is not int or not 0 <= number < len(tokens):
        return None
    token, text = {"SpecialToken": {"id": tokens[number], "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [token, text],
        "pair": [token, text, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {tokens[number]: {"id": tokens[number], "ids": [number], "tokens": [tokens[number]]}},
    }


def _merged(metadata: Mapping[str, Any], vocabulary: Mapping[str, int], file: str) -> dict[str, Any]:
    """Bytes merged by rank, as GPT-2 did it."""
    pre, merges = metadata.get("tokenizer.ggml.pre", "default"), metadata.get("tokenizer.ggml.merges")
    if pre not in PRE:
        raise MissingError(f"cuts texts in a way that is not known here ({str(pre)[:40]!r})", file=file)
    if not isinstance(merges, list) or not all(isinstance(one, str) and one.count(" ") == 1 for one in merges):
        raise FormatError("tokenizer.ggml.merges are not pairs of tokens", file=file)
    return {
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": list(PRE[pre])},
        "decoder": _bytes(regex=True),
        "model": _bpe(vocabulary, [one.split(" ") for one in merges], whole=pre in WHOLE_FIRST),
    }


def _scored(metadata: Mapping[str, Any], vocabulary: Mapping[str, int], file: str) -> dict[str, Any]:
    """Pieces merged by score, as SentencePiece does it: the merges that the scores stand for."""
    scores = _list(metadata, "scores", len(vocabulary), file)
    if scores is None:
        raise FormatError("its pieces have no scores", file=file)
    prefixed = metadata.get("tokenizer.ggml.add_space_prefix", True)
    spaces = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    steps: list[dict[str, Any]] = [{"type": "Prepend", "prepend": "▁"}] if prefixed else []
    back = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
    stripped = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if prefixed else []
    number = metadata.get("tokenizer.ggml.unknown_token_id")
    unknown = list(vocabulary)[number] if type(number) is int and 0 <= number < len(vocabulary) else None
    return {
        "normalizer": {"type": "Sequence", "normalizers": [*steps, spaces]},
        "pre_tokenizer": None,
        "decoder": {"type": "Sequence", "decoders": [*back, *stripped]},
        "model": {
            **_bpe(vocabulary, merges_of(vocabulary, scores)),
            "unk_token": unknown,
            "fuse_unk": True,
            "byte_fallback": True,
        },
    }


def _bpe(vocabulary: Mapping[str, int], merges: list[list[str]], *, whole: bool = False) -> dict[str, Any]:
    absent = dict.fromkeys(("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix"))
    flags = {"fuse_unk": False, "byte_fallback": False, "ignore_merges": whole}
    return {"type": "BPE", **absent, **flags, "vocab": dict(vocabulary), "merges": merges}


def merges_of(vocabulary: Mapping[str, int], scores: Sequence[float]) -> list[list[str]]:
    """The pairs that make each piece, the best piece first: ties go to the longer halves, then to the lower ids.

    >>> merges_of({"a": 0, "b": 1, "ab": 2, "aba": 3}, [0.0, 0.0, -1.0, -2.0])
    [['a', 'b'], ['ab', 'a']]
    """
    found: list[tuple[float, int, int, int, int, str, str]] = []
    for piece, number in vocabulary.items():
        if 1 < len(piece) <= MOST_SPLITS:
            for at in range(1, len(piece)):
                left, right = piece[:at], piece[at:]
                if left in vocabulary and right in vocabulary:
                    rank = -scores[number], -len(left), -len(right), vocabulary[left], vocabulary[right]
                    found.append((*rank, left, right))
    return [[left, right] for *_, left, right in sorted(found)]
