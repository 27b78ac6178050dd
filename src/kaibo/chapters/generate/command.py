"""`kaibo generate`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from kaibo.desk import answering as running
from kaibo.desk import options
from kaibo.desk.answering import Answer, answering
from kaibo.desk.groups import grouped

Text = Annotated[str | None, typer.Option("--prompt", metavar="TEXT", help="Plain text to go on from; - is stdin.")]
Chat = Annotated[str | None, typer.Option("--chat", metavar="TEXT", help="What a user says, under a chat template.")]
Messages = Annotated[
    Path | None, typer.Option("--messages", metavar="FILE", help="A conversation as JSON: role and content.")
]
System = Annotated[str | None, typer.Option("--system", metavar="TEXT", help="The system's words before --chat.")]
Template = Annotated[
    str | None,
    typer.Option("--template", metavar="NAME", help="own (default), llama-2, code-llama, code-llama-infill."),
]
Test = Annotated[str, typer.Option("--test", metavar="TEXT", help="The example test of --template code-llama.")]
Special = Annotated[bool, typer.Option("--special", help="Read special tokens in --prompt as such.")]
Most = Annotated[int, typer.Option("--max-tokens", metavar="N", help="Tokens to write at most.")]
Temperature = Annotated[
    float, typer.Option("--temperature", metavar="T", help="0 is greedy; above it, tokens are drawn.")
]
TopK = Annotated[int | None, typer.Option("--top-k", metavar="K", help="Draw from the K likeliest tokens only.")]
TopP = Annotated[float | None, typer.Option("--top-p", metavar="P", help="Draw from the likeliest that reach P.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the draws.")]
Stop = Annotated[list[str] | None, typer.Option("--stop", metavar="TEXT", help="Stop before this text; repeatable.")]


@dataclass(frozen=True)
class Asked:
    """What a model goes on from."""

    prompt: Text = None
    chat: Chat = None
    messages: Messages = None
    system: System = None
    template: Template = None
    test: Test = ""
    special: Special = False

    def written(self) -> Any:
        """The prompt as the verb takes it. Raises UsageError unless one of text, chat and conversation is given."""
        from kaibo.chapters.generate.ask import Prompt, conversation
        from kaibo.errors import UsageError

        given = [one for one in (self.prompt, self.chat, self.messages) if one is not None]
        if len(given) != 1:
            raise UsageError("one of --prompt, --chat and --messages is wanted")
        if self.messages is not None:
            made = replace(conversation(_read(self.messages), str(self.messages)), template=self.template or "own")
        else:
            text = sys.stdin.read() if given[0] == "-" else str(given[0])
            turns = () if self.system is None else (("system", self.system),)
            made = Prompt(text, self.template if self.prompt is not None else self.template or "own", turns)
        return replace(made, test=self.test, special=self.special)


@dataclass(frozen=True)
class Drawn:
    """How tokens are drawn."""

    max_tokens: Most = 128
    temperature: Temperature = 0.0
    top_k: TopK = None
    top_p: TopP = None
    seed: Seed = 0
    stop: Stop = None


@grouped
def command(
    model: options.Model,
    json: options.Json = False,
    language: options.Language = "en",
    store: options.UnusedStore = None,
    *,
    asked: Asked,
    drawn: Drawn,
    run: options.Running,
) -> None:
    """Let a model write: after a prompt, or in a conversation.

    LLaMA-shaped models run on the reference, all others that transformers knows through it. Code that a folder brings
    is never run, and its chat template only in a sandbox.
    """
    from kaibo.chapters.generate.ask import generate

    with answering("generate", as_json=json) as answer:
        from kaibo.llama import Sampling

        sampling = Sampling(**{**vars(drawn), "stop": tuple(drawn.stop or ())})
        on_text = None if json else _write
        found = generate(model, asked.written(), sampling=sampling, running=run.running(), on_text=on_text)
        _finish(answer, found)


def _read(file: Path) -> list[object]:
    from kaibo.documents.json_text import read_json
    from kaibo.errors import FormatError

    found = read_json(file)
    if not isinstance(found, list):
        raise FormatError("is no list of messages", file=file)
    return found


def _write(text: str) -> None:
    """A piece of the answer, at once; control characters from a model would move the cursor, so they are spelled."""
    clean = "".join(one if one.isprintable() or one in "\n\t" else repr(one)[1:-1] for one in text)
    if sys.stdout is not None:
        sys.stdout.write(clean)
        sys.stdout.flush()


def _finish(answer: Answer, found: Any) -> None:
    row = found.rows[0]
    answer.results = found.records()
    answer.warnings += found.notes
    answer.show = lambda: running.say(sys.stdout, "")
    if not answer.json:
        speed = f"{row.tokens} tokens, {row.tokens_per_second:.1f} a second"
        answer.warnings.append(f"{speed}; ended: {row.ended}; run by the {row.engine}")
