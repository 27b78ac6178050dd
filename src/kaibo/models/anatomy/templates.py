"""How a model wants to be spoken to: which chat template it has, and its special tokens, from the small files.

A template is a stranger's program and is never run here; it is recognised by the marks in its text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaibo.errors import escaped
from kaibo.words import note

NO_FILES = note("no_tokenizer_files")

_MARKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("llama-3", ("<|start_header_id|>",)),
    ("chatml", ("<|im_start|>",)),
    ("gemma", ("<start_of_turn>",)),
    ("llama-2", ("[INST]", "<<SYS>>")),
    ("mistral", ("[INST]",)),
    ("phi-3", ("<|user|>", "<|end|>")),
    ("zephyr", ("<|user|>",)),
    ("deepseek", ("<｜User｜>",)),
    ("alpaca", ("### Instruction",)),
    ("vicuna", ("USER:",)),
)
_TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")
_LONGEST = 4_000_000  # characters of a template that are looked at


def chat_template(documents: Mapping[str, Any]) -> str | None:
    """The kind of chat template: `llama-2`, `mistral`, `chatml`, `gemma`, `llama-3` …, `other`, or `none`.

    None where there is no tokenizer file to say.

    >>> chat_template({"chat_template.jinja": "{{ '<|im_start|>' + message.role }}"})
    'chatml'
    """
    text = _template(documents)
    if text is None:
        return "none" if any(name.rsplit("/", 1)[-1].startswith("tokenizer") for name in documents) else None
    text = text[:_LONGEST]
    return next((kind for kind, marks in _MARKS if all(mark in text for mark in marks)), "other")


def special_tokens(documents: Mapping[str, Any]) -> dict[str, str]:
    """The special tokens by their role (`bos_token`, `eos_token` …), escaped."""
    found: dict[str, str] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        document = _document(documents, name)
        if isinstance(document, Mapping):
            for role in _TOKENS:
                token = document.get(role)
                text = token.get("content") if isinstance(token, Mapping) else token
                if isinstance(text, str) and role not in found:
                    found[role] = escaped(text)
    return found


def _document(documents: Mapping[str, Any], name: str) -> Any:
    return next((value for key, value in documents.items() if key.rsplit("/", 1)[-1] == name), None)


def _template(documents: Mapping[str, Any]) -> str | None:
    config = _document(documents, "tokenizer_config.json")
    holders = (_document(documents, "chat_template.json"), config)
    said = [holder.get("chat_template") for holder in holders if isinstance(holder, Mapping)]
    alone = [_document(documents, name) for name in ("chat_template", "chat_template.jinja")]
    for template in (*alone, *said):
        if isinstance(template, str):
            return template
        if isinstance(template, list):  # several by name: the one called default, else the first
            named = {item.get("name"): item.get("template") for item in template if _is_named(item)}
            chosen = named.get("default", next(iter(named.values()), None))
            if isinstance(chosen, str):
                return chosen
    return None


def _is_named(item: object) -> bool:
    return isinstance(item, Mapping) and isinstance(item.get("name"), str)
