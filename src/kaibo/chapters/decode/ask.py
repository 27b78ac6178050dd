"""`kaibo decode`: text from several models together, and what every checkpoint of a series thinks of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kaibo.chapters.decode.inverse_scaling import SequenceLog, inverse_scaling
from kaibo.chapters.decode.rows import DECODE, DecodeRow, InverseRow
from kaibo.chapters.score.ask import scored_by_step
from kaibo.collect.watch.stopping import Stopping
from kaibo.desk.addresses import Address, OnError, addresses
from kaibo.desk.measuring import Settings
from kaibo.errors import MissingError, UsageError
from kaibo.scoring.combining import weights_of
from kaibo.scoring.planning import ScoreSettings
from kaibo.scoring.texts.texts import Document
from kaibo.version import __version__
from kaibo.vocabulary import Finding

if TYPE_CHECKING:
    from kaibo.llama import Sampling
    from kaibo.scoring.decoding import Decoded, Joint

NOTES = (
    "mass is the part of Σ w·p above zero, mean over the tokens; for A-B the total variation distance of the two.",
)


@dataclass(frozen=True)
class DecodeSettings:
    """How text is decoded: greedily, or drawn from the `top_p` most likely of the combined probabilities.

    `combine` says what is made of them, A being the first model. `dtype` (default: as stored) and `device` are where
    the models run.
    """

    combine: str = "A-B"
    max_tokens: int = 64
    top_p: float | None = None
    temperature: float = 1.0
    seed: int = 0
    dtype: str | None = None
    device: str = "cpu"


@dataclass(frozen=True)
class Decodings:
    """The texts, and which of them show inverse scaling over a series (no rows where none was given)."""

    texts: Finding[DecodeRow]
    inverse: Finding[InverseRow]


def decode(
    models: Iterable[Address],
    prompts: str | Iterable[str],
    *,
    what: DecodeSettings | None = None,
    score_by: Address | Iterable[Address] = (),
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Decodings:
    """Continuations of prompts, decoded from two or more models with one vocabulary, scored by a series.

    Raises UsageError for a combination that cannot be read, and, with the reason, for vocabularies that differ.
    """
    what, settings = what or DecodeSettings(), settings or Settings()
    several = [prompts] if isinstance(prompts, str) else list(prompts)
    named = [os.fspath(model) for model in models]  # the same model twice is a question, too
    if len(named) < 2:
        raise UsageError("decoding together takes two models", next="kaibo decode A B --combine A-B")
    if not several:
        raise MissingError("no prompts were given", next="--prompt TEXT")
    weights = weights_of(what.combine, len(named))
    rows = tuple(_rows(named, weights, several, what, settings))
    told = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", named, strict=False))
    texts = Finding(DECODE, rows, NOTES, {"models": told, "kaibo": __version__})
    series = addresses(score_by)
    logs = list(_logs(rows, series, what, settings, on_error)) if series else []
    return Decodings(texts, inverse_scaling(logs))


def _rows(
    models: list[str], weights: tuple[float, ...], prompts: list[str], what: DecodeSettings, settings: Settings
) -> Iterator[DecodeRow]:
    from kaibo.scoring.decoding import decode as write

    joint, sampling = _joint(models, weights, what), _sampling(what)
    settings.progress.begin(" ".join(models), len(prompts) * what.max_tokens, "tokens")
    with Stopping() as stopping:

        def told(token: int) -> None:
            settings.progress.advance(1)
            stopping.check()

        for at, prompt in enumerate(prompts):
            ids = joint.tokenizer.encode(prompt)
            if not ids:
                raise UsageError(f"prompt {at + 1} has no tokens", next="give some text")
            yield _row(models, weights, at, prompt, write(joint, ids, sampling, told), what)


def _row(
    models: list[str], weights: tuple[float, ...], at: int, prompt: str, found: Decoded, what: DecodeSettings
) -> DecodeRow:
    mass = sum(found.masses) / len(found.masses) if found.masses else None
    return DecodeRow(
        models=tuple(models),
        combine=what.combine,
        weights=weights,
        sequence=at + 1,
        prompt=prompt,
        text=found.text,
        tokens=len(found.ids),
        ended=found.ended,
        mass=mass,
        seed=what.seed,
        why={} if found.ended != "empty" else {"ended": "the combination left no token with a probability above zero"},
    )


def _joint(models: Sequence[str], weights: tuple[float, ...], what: DecodeSettings) -> Joint:
    from kaibo.llama import open_causal
    from kaibo.scoring.decoding import Joint

    joint = Joint(tuple(open_causal(one, dtype=what.dtype, device=what.device) for one in models), weights)
    joint.check()
    return joint


def _sampling(what: DecodeSettings) -> Sampling:
    from kaibo.llama import Sampling

    temperature = 0.0 if what.top_p is None else what.temperature
    return Sampling(max_tokens=what.max_tokens, temperature=temperature, top_p=what.top_p, seed=what.seed)


def _logs(
    rows: Sequence[DecodeRow], series: list[str], what: DecodeSettings, settings: Settings, on_error: OnError | None
) -> Iterator[SequenceLog]:
    """The tokens after each prompt, under each checkpoint; texts that came twice are scored once and told twice."""
    documents = [Document(f"sequence {row.sequence}", row.prompt + row.text) for row in rows if row.text]
    if not documents:
        return
    how = ScoreSettings(dtype=what.dtype or "float32", device=what.device)
    for step, scored in scored_by_step(series, documents, how=how, settings=settings, on_error=on_error):
        by_hash = {one.hash: log for one, log in zip(scored.plan.documents, scored.logs, strict=True)}
        for row, document in zip([row for row in rows if row.text], documents, strict=True):
            log = by_hash[document.hash]
            written = log.taken(log.characters[:, 0] >= len(row.prompt))
            yield SequenceLog(row.sequence, row.text, scored.address, scored.model_id, step, written)
