"""Text written by several models together: their probabilities added with weights, negatives zero, renormalised.

    ids ─▶ A ─▶ p_A ─┐
        └▶ B ─▶ p_B ─┴▶ max(0, w_A·p_A + w_B·p_B) ÷ Σ ─▶ next token

Each model keeps its own keys and values, so that a token is read once by each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from kaibo.errors import FormatError, MissingError, UsageError
from kaibo.llama import Causal, Kept, Sampling, Tokenizer, Written
from kaibo.llama.sampling import choose

EMPTY = "empty"
"""Why a text ended whose models left no token with a probability above zero."""


@dataclass(frozen=True)
class Decoded:
    """What models wrote together, and why it ended (`end`, `stop`, `limit`, or `empty`: no token was left).

    `masses` is, for each step, the sum of the positive part before it was renormalised. For A − B it is the total
    variation distance of the two, for weights that add up to 1 it is 1.
    """

    text: str
    ids: tuple[int, ...]
    ended: str
    masses: tuple[float, ...] = field(repr=False)


@dataclass(frozen=True)
class Joint:
    """Several models of one vocabulary and the weight of each."""

    models: tuple[Causal, ...]
    weights: tuple[float, ...]

    @property
    def tokenizer(self) -> Tokenizer:
        """The one that all have. Raises MissingError where there is none."""
        found = self.models[0].tokenizer
        if found is None:
            raise MissingError("has no tokenizer", file=self.models[0].address, next="fetch tokenizer.json")
        return found

    def check(self) -> None:
        """Raises UsageError, with the first difference, where two models do not mean the same by an id."""
        first, ours = self.models[0], self.tokenizer.raw.get_vocab(with_added_tokens=True)
        for other in self.models[1:]:
            if other.tokenizer is None:
                raise MissingError("has no tokenizer", file=other.address, next="fetch tokenizer.json")
            theirs = other.tokenizer.raw.get_vocab(with_added_tokens=True)
            if theirs != ours:
                token = min(set(ours.items()) ^ set(theirs.items()), key=lambda one: (one[1], one[0]))[0]
                said = f'"{token}" is id {ours.get(token, "none")} there and {theirs.get(token, "none")} here'
                raise UsageError(
                    f"has another vocabulary than {first.address}: {said}", file=other.address,
                    next="only models with one tokenizer can be decoded together",
                )  # fmt: skip
            if other.vocabulary != first.vocabulary:
                message = f"has {other.vocabulary} rows, {first.address} has {first.vocabulary}"
                raise UsageError(message, file=other.address, next="probabilities are added row by row")


def decode(
    joint: Joint, prompt: Sequence[int], sampling: Sampling, on_token: Callable[[int], None] | None = None
) -> Decoded:
    """What the models write after the ids of a prompt; `on_token` is told of every token.

    Raises UsageError for an empty prompt, ids outside the vocabulary and a prompt that leaves no room in a context,
    FormatError where a model's logits are not numbers.
    """
    if not prompt:
        raise UsageError("the prompt has no tokens", next="give some text")
    room = _room(joint, len(prompt), sampling.max_tokens)
    random, written = sampling.random(), Written(joint.tokenizer, sampling.stop)
    ids, masses, ended = list(prompt), [], "limit"
    caches = [model.runs.new_cache(1, len(prompt) + room) for model in joint.models]
    for _ in range(room):
        combined = combine(_probabilities(joint, ids, caches), joint.weights)
        mass = float(combined.sum())
        masses.append(mass)
        if mass == 0:
            ended = EMPTY
            break
        token = choose((combined / mass).log(), sampling, random)
        if token in joint.models[0].ends:
            ended = "end"
            break
        if on_token is not None:
            on_token(token)
        if written.add(token):
            ended = "stop"
            break
        ids = [token]
    return Decoded(written.text, tuple(written.ids), ended, tuple(masses))


def combine(probabilities: Sequence[torch.Tensor], weights: Sequence[float]) -> torch.Tensor:
    """Σ w·p with negatives set to zero, (vocabulary,) in float64, not yet renormalised; all zero where none is left."""
    total = torch.zeros_like(probabilities[0])
    for chances, weight in zip(probabilities, weights, strict=True):
        total += weight * chances
    return total.clamp_(min=0)


def _room(joint: Joint, prompt: int, wanted: int) -> int:
    for model in joint.models:
        model.check_length(prompt, 1)
    contexts: list[int] = [model.context for model in joint.models if model.context is not None]
    room: int = min([wanted, *(context - prompt for context in contexts)])
    return room


@torch.inference_mode()
def _probabilities(joint: Joint, ids: Sequence[int], caches: Sequence[Kept]) -> list[torch.Tensor]:
    """Each model's probabilities of the next token, (vocabulary,) in float64 on the CPU."""
    found = []
    for model, cache in zip(joint.models, caches, strict=True):
        given = torch.tensor([list(ids)], device=model.device)
        model.check_ids(given)
        states = model.runs.states(given, cache=cache)[:, -1]
        chances = model.runs.logits(states)[0].cpu().double().softmax(0)
        if not bool(torch.isfinite(chances).all()):
            raise FormatError("gives logits that are not numbers", file=model.address, next="kaibo stats MODEL")
        found.append(chances)
    return found
