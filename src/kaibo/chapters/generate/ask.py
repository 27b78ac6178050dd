"""`kaibo generate`: what a model writes after a prompt or in a conversation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kaibo.chapters.generate.rows import GENERATE
from kaibo.desk.addresses import Address
from kaibo.desk.running import Running, opened, tokenizer_of
from kaibo.errors import UsageError
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.running import GeneratedRow

if TYPE_CHECKING:
    from kaibo.llama.engines.causal import Causal
    from kaibo.llama.sampling import Sampling

TEMPLATES = ("own", "llama-2", "code-llama", "code-llama-infill")


@dataclass(frozen=True)
class Prompt:
    """What a model is asked: `text` as it is, or with a `template` as a conversation's last turn.

    `template` is `own` (the model's), `llama-2`, `code-llama` (`text` is the problem, `test` its example test) or
    `code-llama-infill` (`text` holds `<FILL_ME>`). `turns` are (role, content) pairs before `text`, `system` first.
    With `special`, special tokens in a plain text count as such.
    """

    text: str
    template: str | None = None
    turns: tuple[tuple[str, str], ...] = ()
    test: str = ""
    special: bool = False


def generate(
    model: Address,
    prompt: str | Prompt,
    *,
    sampling: Sampling | None = None,
    running: Running | None = None,
    on_text: Callable[[str], None] | None = None,
) -> Finding[GeneratedRow]:
    """What the model writes; `on_text` is given the text while it grows.

    Raises UsageError for a prompt that does not fit the context and for a template that does not take it, PolicyError
    for a template that reaches for Python, and whatever opening the model raises.
    """
    from kaibo.llama import Sampling, generate

    asked = Prompt(prompt) if isinstance(prompt, str) else prompt
    how = sampling or Sampling()
    causal = opened(model, running)
    ids = prompt_ids(causal, asked)
    written = generate(causal, ids, how, on_text=on_text)
    row = GeneratedRow(
        model=causal.address,
        engine=causal.engine,
        template=asked.template,
        prompt_tokens=written.prompt_tokens,
        tokens=len(written.ids),
        ended=written.ended,
        seed=how.seed,
        seconds=written.seconds,
        tokens_per_second=written.tokens_per_second,
        text=written.text,
    )
    provenance = {"kaibo": __version__, "models": {causal.address: None}}
    return Finding(GENERATE, (row,), (*causal.notes, *_notes(causal, written.ended, row)), provenance)


def _notes(causal: Causal, ended: str, row: GeneratedRow) -> tuple[str, ...]:
    full = causal.context is not None and row.prompt_tokens + row.tokens >= causal.context
    if ended == "limit" and full:
        return (f"the context of {causal.context:,} tokens is full",)
    return ()


def prompt_ids(causal: Causal, prompt: Prompt) -> list[int]:
    """The ids that the model reads for a prompt. Raises as `generate` does."""
    from kaibo.llama.chat import Message, Problem, code_llama, code_llama_infill, llama_2, own_template

    tokenizer = tokenizer_of(causal)
    if prompt.template is None:
        if prompt.turns or prompt.test:
            raise UsageError("turns, a system text and tests need a template", next="--chat, or --template llama-2")
        return tokenizer.encode(prompt.text, special=prompt.special)
    messages = [Message(role, content) for role, content in (*prompt.turns, ("user", prompt.text))]
    pieces = None
    if prompt.template == "own":
        if causal.template is None:
            advice = f"--template {', '.join(TEMPLATES[1:])}, or --prompt for plain text"
            raise UsageError("has no chat template", file=causal.address, next=advice)
        pieces = own_template(causal.template, messages, tokenizer.tags, causal.address)
    elif prompt.template == "llama-2":
        pieces = llama_2(messages, tokenizer.tags)
    elif prompt.template == "code-llama":
        pieces = code_llama(Problem(prompt.text, prompt.test), tokenizer.tags)
    elif prompt.template == "code-llama-infill":
        pieces = code_llama_infill(prompt.text, tokenizer.tags)
    if pieces is None:
        raise UsageError(f'no template is called "{prompt.template}"', next=f"templates: {', '.join(TEMPLATES)}")
    return tokenizer.prompt(pieces)


def conversation(messages: Sequence[object], file: str) -> Prompt:
    """A conversation as JSON gives it, `[{"role", "content"}, …]`, the last of them to be answered.

    Raises FormatError naming the entry that is no message.
    """
    from kaibo.errors import FormatError

    turns = []
    for place, one in enumerate(messages):
        role, content = (one.get("role"), one.get("content")) if isinstance(one, dict) else (None, None)
        if role not in ("system", "user", "assistant") or not isinstance(content, str):
            raise FormatError(f"message {place} wants a role (system, user, assistant) and a text", file=file)
        turns.append((str(role), content))
    if not turns or turns[-1][0] != "user":
        raise FormatError("the last message is not the user's", file=file)
    return Prompt(turns[-1][1], "own", tuple(turns[:-1]))
