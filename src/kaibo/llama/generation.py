"""One token after another: prompt in, text out as it is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from kaibo.errors import UsageError
from kaibo.llama.engines.causal import Causal
from kaibo.llama.sampling import Sampling, choose
from kaibo.llama.tokens import Tokenizer


@dataclass(frozen=True)
class Generated:
    """What a model wrote: the text, its ids, and why it ended (`end`, `stop`, or `limit`)."""

    text: str
    ids: tuple[int, ...]
    ended: str
    prompt_tokens: int
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        """Tokens written a second, reading the prompt included."""
        return len(self.ids) / self.seconds if self.seconds > 0 else 0.0


@dataclass
class Written:
    """Text that grows token by token and is cut at a stop text; `ready` hands out what can no longer change.

    Bytes that are not a whole character yet, and an ending that could become a stop text, are held back.
    """

    tokenizer: Tokenizer | None
    stop: Sequence[str] = ()
    ids: list[int] = field(default_factory=list)
    text: str = ""
    given: int = 0

    def add(self, token: int) -> bool:
        """Takes a token; whether a stop text has come."""
        self.ids.append(token)
        if self.tokenizer is None:
            return False
        self.text = self.tokenizer.decode(self.ids)
        places = [place for place in (self.text.find(text) for text in self.stop) if place >= 0]
        if places:
            self.text = self.text[: min(places)]
        return bool(places)

    def ready(self, *, last: bool = False) -> str:
        """What is new and settled."""
        end = len(self.text) if last else self._settled()
        new = self.text[self.given : end]
        self.given = max(self.given, end)
        return new

    def _settled(self) -> int:
        end = len(self.text.rstrip("\ufffd"))
        for stop in self.stop:
            for length in range(min(len(stop) - 1, end), 0, -1):
                if self.text.endswith(stop[:length]):
                    end = min(end, len(self.text) - length)
                    break
        return end


def generate(
    model: Causal,
    prompt: Sequence[int],
    sampling: Sampling | None = None,
    *,
    on_text: Callable[[str], None] | None = None,
) -> Generated:
    """What the model writes after the ids of a prompt; `on_text` is given the text as it grows.

    Raises UsageError for an empty prompt, for ids outside the vocabulary, and for a prompt that leaves no room in the
    context; where there is room for some of `max_tokens`, that many are written.
    """
    chosen = sampling or Sampling()
    if not prompt:
        raise UsageError("the prompt has no tokens", file=model.address, next="give some text")
    model.check_length(len(prompt), 1)
    room = chosen.max_tokens if model.context is None else min(chosen.max_tokens, model.context - len(prompt))
    watched = on_text is not None or bool(chosen.stop)  # decoding all of it at every token costs as much as the model
    written = Written(model.tokenizer if watched else None, chosen.stop)
    started = time.perf_counter()
    ended = "limit"
    for token in _tokens(model, prompt, room, chosen):
        if token in model.ends:
            ended = "end"
            break
        stopped = written.add(token)
        if on_text is not None and (new := written.ready(last=stopped)):
            on_text(new)
        if stopped:
            ended = "stop"
            break
    if on_text is not None and (rest := written.ready(last=True)):
        on_text(rest)
    text = written.text if watched or model.tokenizer is None else model.tokenizer.decode(written.ids)
    seconds = time.perf_counter() - started
    return Generated(text, tuple(written.ids), ended, len(prompt), seconds)


def _tokens(model: Causal, prompt: Sequence[int], room: int, sampling: Sampling) -> Iterator[int]:
    """The tokens as they are chosen; the prompt is read at once, then each token alone."""
    runs, random = model.runs, sampling.random()
    ids = torch.tensor([list(prompt)], device=model.device)
    model.check_ids(ids)
    cache = runs.new_cache(1, len(prompt) + room)
    for _ in range(room):
        with torch.inference_mode():
            states = runs.states(ids, cache=cache)[:, -1]
            token = choose(runs.logits(states)[0], sampling, random)
        yield token
        ids = torch.tensor([[token]], device=model.device)
