"""Tokenizers that their own files say everything about: read without transformers, which would make the same of them.

Loading transformers' tokenizers takes 100 MiB and seconds; for a `tokenizer.json` of a LLaMA that asks for no other
class nothing comes of it but the file as it is. Wherever that is not certain it is left to transformers.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kaibo.errors import FormatError
from kaibo.models.descriptions import parsed
from kaibo.models.formats.gguf import metadata_of
from kaibo.models.places.folder import LocalFile
from kaibo.models.tokenizer_files import carried_tokenizer, check_tokenizer

CLASSES = ("PreTrainedTokenizerFast", "TokenizersBackend")
"""Classes that take `tokenizer.json` as it is (transformers 5, `TokenizersBackend.convert_to_native_format`)."""

TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token")

HARMLESS = {
    *("tokenizer_class", "model_max_length", "model_input_names", "padding_side", "chat_template", "backend"),
    *("add_bos_token", "add_eos_token", "is_local", "local_files_only", "name_or_path", "added_tokens_decoder"),
    *("clean_up_tokenization_spaces", "extra_special_tokens", "additional_special_tokens"),
}
"""Settings that change no id where there is a `tokenizer.json`; some of them only if they say nothing (`_silent`)."""

LIMIT = 16 << 20
"""Bytes of a settings file that are read at most."""


@dataclass(frozen=True)
class Plain:
    """The tokenizer of the tokenizers library, the ids before and behind a text (None: no such token), the template."""

    backend: Any
    bos: int | None
    eos: int | None
    template: str | None


def plain_tokenizer(folder: str) -> Plain | None:
    """The tokenizer of a folder as its files have it; None where transformers must say what comes of them."""
    from tokenizers import Tokenizer, processors

    settings, config = (_json(folder, name) for name in ("tokenizer_config.json", "config.json"))
    if config.get("model_type") != "llama" or not _as_it_is(folder, settings):
        return None
    path = os.path.join(folder, "tokenizer.json")
    if os.path.lexists(path):
        check_tokenizer(path)
    try:
        backend = Tokenizer.from_file(path)
    except Exception:  # noqa: BLE001 - the library raises plain Exceptions, and transformers will say what is wrong
        return None
    named = {name: _content(settings.get(name)) for name in TOKENS}
    if not _agree(backend, settings, {content for content in named.values() if content is not None}):
        return None
    if backend.post_processor is None:
        backend.post_processor = processors.TemplateProcessing(single="$A:0", pair="$A:0 $B:1", special_tokens=[])
    bos, eos = (None if token is None else backend.token_to_id(token) for token in list(named.values())[:2])
    return Plain(backend, bos, eos, _template(folder, settings))


def carried(path: str) -> Plain:
    """The tokenizer that a GGUF file carries. Raises MissingError where it carries none that can be rebuilt."""
    from tokenizers import Tokenizer

    metadata = metadata_of(LocalFile(path, name=os.path.basename(path), real=path))
    numbers = [metadata.get(f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos")]
    bos, eos = (number if type(number) is int else None for number in numbers)
    template = metadata.get("tokenizer.chat_template")
    backend = Tokenizer.from_str(carried_tokenizer(path))
    return Plain(backend, bos, eos, template if isinstance(template, str) else None)


def _json(folder: str, name: str) -> Mapping[str, Any]:
    """A file of settings; empty where it is absent or cannot be read."""
    path = os.path.join(folder, name)
    try:
        if os.path.getsize(path) > LIMIT:
            return {}
        with open(path, "rb") as file:
            return parsed(file.read(), name, [])
    except (OSError, FormatError):
        return {}


def _as_it_is(folder: str, settings: Mapping[str, Any]) -> bool:
    """Whether the settings ask for nothing beyond `tokenizer.json`."""
    legacy = ("special_tokens_map.json", "added_tokens.json")
    if "added_tokens_decoder" not in settings and any(os.path.lexists(os.path.join(folder, name)) for name in legacy):
        return False
    return (
        settings.get("tokenizer_class") in CLASSES
        and set(settings) <= {*HARMLESS, *TOKENS}
        and all(_content(settings[name]) is not None for name in TOKENS if settings.get(name) is not None)
        and _silent(settings)
    )


def _silent(settings: Mapping[str, Any]) -> bool:
    return not any(
        settings.get(name)
        for name in ("clean_up_tokenization_spaces", "extra_special_tokens", "additional_special_tokens")
    )


def _content(token: Any) -> str | None:
    found = token.get("content") if isinstance(token, Mapping) else token
    return found if isinstance(found, str) else None


def _agree(backend: Any, settings: Mapping[str, Any], named: set[str]) -> bool:
    """Whether the special tokens that the settings name are those that `tokenizer.json` adds, in every property."""
    added = backend.get_added_tokens_decoder()
    listed = settings.get("added_tokens_decoder") or {}
    if not isinstance(listed, Mapping):
        return False
    sides = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")
    have = {str(number): {side: getattr(token, side) for side in sides} for number, token in added.items()}
    if any(have.get(number) != token for number, token in listed.items()):
        return False
    return named <= {token.content for token in added.values()}


def _template(folder: str, settings: Mapping[str, Any]) -> str | None:
    path = os.path.join(folder, "chat_template.jinja")
    try:
        if os.path.getsize(path) <= LIMIT:
            with open(path, encoding="utf-8", errors="backslashreplace") as file:
                return file.read()
    except OSError:
        pass
    inline = settings.get("chat_template")
    return inline if isinstance(inline, str) else None
