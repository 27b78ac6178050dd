"""Conversations as a model was trained to read them: its own template, or one of three forms known by name.

A prompt is a list of pieces. In a piece of text no special token is read, whatever a user types; a piece that is
special is the tag itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kaibo.documents.templates import RefusedTemplateError, in_child
from kaibo.errors import FormatError, UsageError

_OPEN, _CLOSE = "\ue0f0", "\ue0f1"  # private use: around what a user typed that looks like a special token

ELSE = "--template llama-2, or --prompt for plain text"

FILL = "<FILL_ME>"
"""Where Code Llama is to fill in, in the prompt of the form `code-llama-infill`."""


@dataclass(frozen=True)
class Message:
    """One turn of a conversation; `role` is `system`, `user` or `assistant`."""

    role: str
    content: str


@dataclass(frozen=True)
class Piece:
    """A part of a prompt: text, or (`special`) the template's own words, whose special tokens count."""

    text: str
    special: bool = False


@dataclass(frozen=True)
class Tags:
    """The special tokens that a template may name, as the tokenizer's settings give them."""

    bos: str = ""
    eos: str = ""
    all: tuple[str, ...] = ()


def llama_2(messages: Sequence[Message], tags: Tags) -> list[Piece]:
    r"""Llama-2-chat: `<s>[INST] <<SYS>>\n…\n<</SYS>>\n\n… [/INST] … </s><s>[INST] … [/INST]`.

    Source: meta-llama/llama, llama/generation.py, `chat_completion`. Raises UsageError unless user and assistant
    take turns, a user last.
    """
    turns = list(messages)
    if turns and turns[0].role == "system":
        system, turns = turns[0], turns[1:]
        if turns:
            content = f"<<SYS>>\n{system.content}\n<</SYS>>\n\n{turns[0].content}"
            turns[0] = Message(turns[0].role, content)
    expected = ["user" if place % 2 == 0 else "assistant" for place in range(len(turns))]
    if len(turns) % 2 == 0 or [turn.role for turn in turns] != expected:
        raise UsageError("llama-2 wants user and assistant in turns, a user first and last")
    pieces = []
    for question, answer in zip(turns[::2], [*turns[1::2], None], strict=True):
        pieces += [Piece(tags.bos, special=True), Piece(f"[INST] {question.content.strip()} [/INST]")]
        if answer is not None:
            pieces += [Piece(f" {answer.content.strip()} "), Piece(tags.eos, special=True)]
    return pieces


_TASK = (
    "[INST] Your task is to write a Python function to solve a programming problem. The Python code must be between "
    "[PYTHON] and [/PYTHON] tags. You are given one example test from which you can infere the function signature. "
    "Problem: {problem} Test: {test} [/INST]"
)  # "infere" is the source's, and what the model was shown


@dataclass(frozen=True)
class Problem:
    """A programming problem, a test of it, and for a worked example its code."""

    text: str
    test: str
    code: str = ""


def code_llama(problem: Problem, tags: Tags, examples: Sequence[Problem] = ()) -> list[Piece]:
    """Code Llama's instruction form, worked examples first (Rozière et al. 2023, arXiv 2308.12950, appendix)."""
    shown = "".join(
        f"{_TASK.format(problem=one.text, test=one.test)} [PYTHON] {one.code} [/PYTHON] " for one in examples
    )
    asked = f"{_TASK.format(problem=problem.text, test=problem.test)} [PYTHON]"
    return [Piece(tags.bos, special=True), Piece(shown + asked)]


INFILL = ("▁<PRE>", "▁<SUF>", "▁<MID>")
"""Code Llama's special tokens for infilling, as its tokenizer calls them."""


def code_llama_infill(prompt: str, tags: Tags) -> list[Piece]:
    """`<s>▁<PRE>` before `▁<SUF>` after `▁<MID>`: what the model writes next belongs between (section 2.3 there).

    Raises UsageError where the prompt says no one place, or the tokenizer has no such tokens.
    """
    before, found, after = prompt.partition(FILL)
    if not found or FILL in after:
        raise UsageError(f"code-llama-infill wants one {FILL} in the prompt")
    absent = [tag for tag in INFILL if tag not in tags.all]
    if absent:
        raise UsageError(f"this tokenizer has no {absent[0]}", next="infilling is Code Llama's 7B and 13B")
    pre, suffix, middle = (Piece(tag, special=True) for tag in INFILL)
    return [Piece(tags.bos, special=True), pre, Piece(before), suffix, Piece(after), middle]


def own_template(template: str, messages: Sequence[Message], tags: Tags, file: str) -> list[Piece]:
    """The conversation under a model's own Jinja template, rendered in a process of its own in Jinja's sandbox.

    Raises PolicyError for a template that reaches for Python or for too much, FormatError for one that is broken,
    UsageError where it does not take the conversation.
    """
    return own_templates(template, [messages], tags, file)[0]


def own_templates(
    template: str, conversations: Sequence[Sequence[Message]], tags: Tags, file: str
) -> list[list[Piece]]:
    """Several conversations under one template, rendered in one process; raises as `own_template` does."""
    marked = [[{"role": one.role, "content": _marked(one.content, tags)} for one in each] for each in conversations]
    variables = {
        "add_generation_prompt": True,
        "bos_token": tags.bos,
        "eos_token": tags.eos,
        "tools": None,
        "documents": None,
    }
    rows = [{**variables, "messages": messages} for messages in marked]
    try:
        texts = in_child("chat", template, rows, file, "the chat template", ELSE) if rows else []
    except RefusedTemplateError as broken:
        raise FormatError(f"the chat template is broken ({broken})", file=file) from None
    return [_pieces(text) for text in texts]


def _marked(text: str, tags: Tags) -> str:
    """The text with every special token in it put in marks, so that it can be told from the template's own."""
    text = text.replace(_OPEN, "").replace(_CLOSE, "")
    known = sorted({tag for tag in tags.all if tag}, key=len, reverse=True)
    if not known:
        return text
    return re.sub("|".join(map(re.escape, known)), lambda found: f"{_OPEN}{found[0]}{_CLOSE}", text)


def _pieces(text: str) -> list[Piece]:
    """What was rendered, cut at the marks; a mark that lost its other half still keeps both sides apart."""
    pieces = []
    for part in re.split(f"({_OPEN}[^{_OPEN}{_CLOSE}]*{_CLOSE})", text):
        typed = part.startswith(_OPEN)
        pieces += [Piece(one, special=not typed) for one in re.split(f"[{_OPEN}{_CLOSE}]", part) if one]
    return pieces
