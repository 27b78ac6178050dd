"""kaibo as a model of EleutherAI's lm-evaluation-harness: its requests in, its numbers out, shared prefixes read once.

    python -m kaibo.scoring.harness run --model kaibo --model_args pretrained=./model --tasks …

is the harness's own command with kaibo registered: it has no way for a package to register a model by itself.

Requests are encoded, cut and summed as its `hf` model does: special tokens in a prompt are special, and a prompt
longer than the context loses its beginning (a warning counts them).
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from lm_eval.api.model import LM
from lm_eval.api.registry import model_registry
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from numpy.typing import NDArray

from kaibo.errors import FormatError
from kaibo.llama import Causal, Sampling, generate, open_causal
from kaibo.models.opening import local_of
from kaibo.models.tokenizer_files import carrier_of
from kaibo.scoring.exams.answering import answers
from kaibo.scoring.exams.generating import write_answers
from kaibo.scoring.exams.prompts import Answer, Prompted, text_of
from kaibo.scoring.exams.requests import Request, Scored, encode_pairs
from kaibo.scoring.texts.tokens import Tokenizer, load_tokenizer

MOST = 2048
"""Tokens a model may read whose config does not say, as the harness assumes."""

Measure = Callable[[frozenset[int]], Iterator[Sequence[Scored]]]


Write = Callable[[frozenset[int]], Iterator[Sequence[Answer]]]


class Keeper(Protocol):
    """Looks up what is known of requests and keeps what is measured; `measure` and `write` are told what is known."""

    def scored(self, task: str, hashed: str, requests: Sequence[Request], measure: Measure) -> list[tuple[float, bool]]:
        """Log-likelihood and "would have been written" of each request."""
        ...

    def written(self, task: str, hashed: str, prompts: Sequence[Prompted], write: Write) -> list[list[int]]:
        """The ids that were written after each prompt."""
        ...


@dataclass(frozen=True)
class Later:
    """A model that is loaded only if something has to be measured; what is known of it before."""

    address: str
    context: int | None
    ends: frozenset[int]
    load: Callable[[], Causal]


class KaiboLM(LM):  # type: ignore[misc]
    """The model that `--model kaibo` names.

    `pretrained` is an address, `batch_size` tokens read at a time where it is over 64 (else 512 are), `max_length`
    the context where it is not the model's own; `dtype`, `device` and `rope` are as in `kaibo eval`.
    """

    def __init__(
        self,
        pretrained: str | Later,
        tokenizer: Tokenizer | None = None,
        dtype: str = "float32",
        device: str | None = "cpu",
        rope: str | None = None,
        batch_size: int | str | None = None,
        max_length: int | None = None,
        keeper: Keeper | None = None,
        **ignored: Any,
    ) -> None:
        super().__init__()
        self._causal: Causal | None = None
        if isinstance(pretrained, str):
            opened = open_causal(pretrained, dtype=dtype, device=_here(device), rope=rope)
            pretrained = Later(opened.address, opened.context, opened.ends, lambda: opened)
        self._later = pretrained
        target = local_of(pretrained.address)
        folder = carrier_of(target) or target.root
        self.own = tokenizer or load_tokenizer(folder)
        self.own.backend.encode_special_tokens = False
        asked = int(str(batch_size)) if str(batch_size).isdigit() else 0
        self.batch = asked if asked > 64 else 512
        self.max_length = int(max_length) if max_length else pretrained.context or MOST
        self.ends = pretrained.ends | frozenset(() if self.own.eos is None else (self.own.eos,))
        self.keeper = keeper or _Forgetful()

    @property
    def causal(self) -> Causal:
        """The model with its weights, loaded when it is first needed."""
        if self._causal is None:
            self._causal = self._later.load()
        return self._causal

    @property
    def tokenizer_name(self) -> str:
        """What the harness keys its cache of requests by."""
        return self.own.hash

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """A conversation as the tokenizer's own template writes it."""
        made = self.own.inner.apply_chat_template(
            chat_history,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )
        return str(made)

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The template's text."""
        return self.own.inner.chat_template if chat_template else None

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """(Σ ln p of the continuation, whether it is what the model would have written) of each request."""
        found: list[tuple[float, bool]] = [(0.0, False)] * len(requests)
        for task, places in _by_task(requests).items():
            pairs = [requests[place].args for place in places]
            encoded = encode_pairs(self.own, pairs, has_bos=self._has_bos)
            rows = [(ids, scored) for ids, scored, *_ in encoded]
            spans = [(characters, data) for *_, characters, data in encoded]
            names = [(int(getattr(requests[place], "doc_id", None) or 0), requests[place].idx) for place in places]
            told = self._scored(task, pairs, rows, spans, names)
            for place, one in zip(places, told, strict=True):
                found[place] = one
        return found

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Σ ln p of whole texts, in windows as the harness cuts them."""
        totals: list[float] = []
        first = self.own.bos if self.own.bos is not None else self.own.eos
        for place, request in enumerate(requests):
            ids = self._encoded(request.args[0])
            cut = get_rolling_token_windows(
                token_list=ids, prefix_token=first, max_seq_len=self.max_length, context_len=1
            )
            windows = [make_disjoint_window(one) for one in cut]
            rows = [(np.array([*before, *after], np.int64), len(after)) for before, after in windows]
            none = [(np.zeros((count, 2), np.int64),) * 2 for _, count in rows]
            names = [(place, at) for at in range(len(rows))]
            told = self._scored(f"{request.task_name or 'text'}:{place}", [request.args], rows, none, names)
            totals.append(sum(one for one, _ in told))
        return totals

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """What the model writes after each prompt, until one of its stop texts."""
        found = [""] * len(requests)
        groups: dict[tuple[str, str], list[int]] = {}
        for place, request in enumerate(requests):
            groups.setdefault((_task(request), repr(sorted(request.args[1].items()))), []).append(place)
        for (task, _), places in groups.items():
            asked = dict(requests[places[0]].args[1])
            texts = self._written(task, [requests[place].args[0] for place in places], asked)
            for place, text in zip(places, texts, strict=True):
                found[place] = text
        return found

    def _written(self, task: str, prompts: Sequence[str], asked: dict[str, Any]) -> Iterator[str]:
        until = asked.get("until") or []
        stop = [one for one in ([until] if isinstance(until, str) else until) if one]
        names = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
        count = int(next((asked[name] for name in names if name in asked), 256))
        room = self.max_length - count
        if room < 1:
            raise FormatError(f"{count} tokens to write leave no room in a context of {self.max_length}")
        ids = [self._encoded(one) for one in prompts]
        _warn_cut(sum(len(one) > room for one in ids), self.max_length)
        rows = [Prompted(place, np.array(one[-room:], np.int64)) for place, one in enumerate(ids)]
        if asked.get("do_sample") and float(asked.get("temperature", 1.0)) > 0:
            yield from (self._sampled(one, asked, count, stop) for one in rows)
            return

        def write(known: frozenset[int]) -> Iterator[Sequence[Answer]]:
            return write_answers(self.causal, rows, count, stop, known, self.batch)

        hashed = hashlib.sha256(repr((task, list(prompts), stop, count, self.max_length)).encode()).hexdigest()[:32]
        for one in self.keeper.written(task, hashed, rows, write):
            yield text_of(self.own, one, stop, self.ends)

    def _sampled(self, prompt: Prompted, asked: dict[str, Any], count: int, stop: Sequence[str]) -> str:
        chosen = Sampling(
            count, float(asked.get("temperature", 1.0)), asked.get("top_k"), asked.get("top_p"), stop=tuple(stop)
        )
        found: str = generate(self.causal, prompt.ids.tolist(), chosen).text
        return found

    def _has_bos(self, text: str) -> bool:
        """A prompt that brings the first token is given no second one."""
        first = self.own.bos if self.own.bos is not None else self.own.eos
        return first is not None and text.startswith(self.own.token(first))

    def _encoded(self, text: str) -> list[int]:
        backend = self.own.backend
        ids: list[int] = backend.encode(text, add_special_tokens=not self._has_bos(text)).ids
        return ids

    def _scored(
        self,
        task: str,
        texts: Sequence[Any],
        rows: Sequence[tuple[NDArray[np.int64], int]],
        spans: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
        names: Sequence[tuple[int, int]],
    ) -> list[tuple[float, bool]]:
        """The rows as requests, in an order in which those that begin alike stand together."""
        most = self.max_length + 1
        _warn_cut(sum(len(ids) > most for ids, _ in rows), self.max_length)
        cut = [(ids[-most:], min(scored, most - 1)) for ids, scored in rows]
        if any(scored < 1 for _, scored in cut):
            raise FormatError(f"{task}: a continuation has no token of its own", file=self._later.address)
        order = sorted(range(len(cut)), key=lambda place: (cut[place][0].tolist(), names[place]))
        made = {place: Request(at, 0, *cut[place], *spans[place]) for at, place in enumerate(order)}
        ordered = [made[place] for place in order]

        def measure(known: frozenset[int]) -> Iterator[Sequence[Scored]]:
            return answers(self.causal, ordered, self.batch, known)

        hashed = hashlib.sha256(repr((task, list(texts), self.max_length)).encode()).hexdigest()[:32]
        told = dict(zip(order, self.keeper.scored(task, hashed, ordered, measure), strict=True))
        return [told[place] for place in range(len(cut))]


class _Forgetful:
    """Measures everything and keeps nothing."""

    def scored(self, task: str, hashed: str, requests: Sequence[Request], measure: Measure) -> list[tuple[float, bool]]:
        found = {one.request.item: one for batch in measure(frozenset()) for one in batch}
        return [told(found[one.item]) for one in requests]

    def written(self, task: str, hashed: str, prompts: Sequence[Prompted], write: Write) -> list[list[int]]:
        found = {one.prompted.item: one.ids.tolist() for batch in write(frozenset()) for one in batch}
        return [found[one.item] for one in prompts]


def told(scored: Scored) -> tuple[float, bool]:
    """A scored request as the harness wants it."""
    request = scored.request
    greedy = bool(np.array_equal(scored.best, request.ids[request.first :]))
    return -float(scored.nats.astype(np.float64).sum()), greedy


def _by_task(requests: Sequence[Any]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for place, one in enumerate(requests):
        found.setdefault(_task(one), []).append(place)
    return found


def _task(request: Any) -> str:
    return str(getattr(request, "task_name", None) or "requests")


def _warn_cut(count: int, length: int) -> None:
    if count:
        message = (
            f"{count} prompts are longer than the context of {length}: their beginning is cut, as the harness does"
        )
        warnings.warn(message, stacklevel=3)


def _here(device: str | None) -> str:
    """The device; the harness names a GPU unasked, and without one its own models run on the CPU, too."""
    import torch

    return "cpu" if device is None or (device.startswith("cuda") and not torch.cuda.is_available()) else device


def register() -> None:
    """Makes `kaibo` a model that the harness knows by name."""
    import lm_eval.models  # noqa: F401 - its own names first: it fills an empty registry only

    if "kaibo" not in model_registry:
        model_registry.register("kaibo", target=KaiboLM)


def main() -> None:
    """The harness's own command, with kaibo among its models."""
    from lm_eval.__main__ import cli_evaluate

    register()
    cli_evaluate()


if __name__ == "__main__":
    main()
