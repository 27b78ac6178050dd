"""`kaibo eval --code`: a model writes several programs for each problem, and they are judged behind walls."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kaibo.chapters.eval.ask import EvalOptions, Evaluations, loaded_model, tidy
from kaibo.chapters.eval.programs import program_of, stops
from kaibo.chapters.eval.rows import EVAL, EVAL_PAIRS, EvalPair, EvalRow
from kaibo.chapters.generate.ask import Prompt, prompt_ids
from kaibo.chapters.pass_at_k.ask import PassOptions, judging_of, passes_of
from kaibo.chapters.pass_at_k.rows import PassAtKRow, PassPair
from kaibo.collect import Stopping
from kaibo.collect.censuses import FLUSH_SECONDS
from kaibo.collect.scorer import Opened, Scorer
from kaibo.collect.shards import Shard, Share
from kaibo.collect.verdicts import judged
from kaibo.desk.addresses import Address, OnError, raising
from kaibo.desk.checkpoints import checkpoints
from kaibo.desk.measuring import Settings, open_store
from kaibo.errors import KaiboError, UsageError
from kaibo.llama.engines.functions import Running
from kaibo.sandbox import Problem, chosen, problems
from kaibo.scoring.planning import ScoreSettings
from kaibo.store import Store
from kaibo.vocabulary import Finding

if TYPE_CHECKING:
    from kaibo.llama import Sampling

_Draw = tuple[str, Problem, int]
"""The generation that a sample is of, its problem, and which draw it is."""

VERSION = 1
"""Raised when the same model would write other samples than before."""


@dataclass(frozen=True)
class CodeOptions:
    """How programs are drawn: `samples` of each problem, by temperature and top-p, each from a seed of its own.

    `template` is None for a model that completes code; else the form in which it is asked, as for `kaibo generate`.
    """

    samples: int = 1
    temperature: float = 0.0
    top_p: float | None = None
    seed: int = 0
    max_tokens: int = 512
    template: str | None = None
    judging: PassOptions = field(default_factory=PassOptions)

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise UsageError(f"--samples must be at least 1, got {self.samples}")
        if self.samples > 1 and self.temperature == 0:
            raise UsageError("greedy samples are all the same", next="give --temperature, such as 0.8")

    def key(self, problem: Problem) -> str:
        """What decides a sample beside the model: part of its key in the store."""
        how = (self.temperature, self.top_p, self.seed, self.max_tokens, self.template, stops(problem, self.instructed))
        return repr((VERSION, problem.hash, *how))

    @property
    def digest(self) -> str:
        """16 hex digits for how samples are drawn and judged."""
        return hashlib.sha256(repr((VERSION, vars(self))).encode()).hexdigest()[:16]

    @property
    def instructed(self) -> bool:
        """Whether the model is asked in words and answers in words."""
        return self.template is not None

    def sampling(self, problem: Problem, number: int) -> Sampling:
        """How sample `number` of a problem is drawn; its seed is its own, whatever was drawn before."""
        from kaibo.llama import Sampling

        text = f"{self.seed} {problem.hash} {number}".encode()
        seed = int.from_bytes(hashlib.sha256(text).digest()[:7], "big")
        return Sampling(self.max_tokens, self.temperature, None, self.top_p, seed, stops(problem, self.instructed))


def evaluate_code(
    models: Address | Iterable[Address],
    of: Address,
    *,
    code: CodeOptions | None = None,
    options: EvalOptions | None = None,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Evaluations:
    """pass@k of models on the problems of a file. Each sample is kept as it is written; none is drawn twice.

    Raises PolicyError where no sandbox stands, before any model is read, and what reading the problems raises.
    """
    code, options, settings = code or CodeOptions(), options or EvalOptions(), settings or Settings()
    report = on_error or raising
    judging, known, store = _begun(of, code, options, settings)
    scorer = Scorer(ScoreSettings(), settings, store)
    programs: dict[str, list[tuple[Problem, str]]] = {}
    steps: dict[str, tuple[int | None, str]] = {}
    origins: dict[tuple[str, str], str] = {}
    task = Path(of).name.partition(".")[0]
    for _, opened in scorer.each(checkpoints(models), report):
        try:
            writer = _Writer(opened, code, options, settings, store)
            programs[opened.address] = writer.programs(known)
            steps[opened.address] = opened.step, opened.model_id
            origins[opened.address, task] = f"{writer.function_id} {code.digest}"
        except KaiboError as error:
            scorer.forgive(error, report)
    if not programs:
        return Evaluations(Finding(EVAL, ()), Finding(EVAL_PAIRS, ()))
    found = passes_of(programs, known, judging, settings, report)
    rows = tuple(_row(row, task, steps[row.model][0]) for row in found.passes if row.value is not None)
    scores = Finding(EVAL, rows, found.passes.notes, {**found.passes.provenance, "models": _ids(steps)})
    store.record_scores(list(tidy(scores, origins)))
    return Evaluations(scores, Finding(EVAL_PAIRS, tuple(_pair(row, task) for row in found.pairs)))


def share_code(
    models: Address | Iterable[Address],
    of: Address,
    shard: Shard,
    *,
    code: CodeOptions,
    options: EvalOptions,
    settings: Settings,
    on_error: OnError,
) -> Iterator[Share]:
    """Draws a shard's samples of each model and judges them, and says what was done; raises as `evaluate_code` does."""
    judging, known, store = _begun(of, code, options, settings)
    scorer = Scorer(ScoreSettings(), settings, store)
    for _, opened in scorer.each(checkpoints(models), on_error):
        try:
            share, programs = _Writer(opened, code, options, settings, store).share(known, shard)
        except KaiboError as error:
            scorer.forgive(error, on_error)
            continue
        judged(programs, judging_of(judging, settings), on_error)
        yield share


def _begun(
    of: Address, code: CodeOptions, options: EvalOptions, settings: Settings
) -> tuple[PassOptions, dict[str, Problem], Store]:
    """How programs are judged, the problems, and the store; raises where they could not be judged here."""
    judging = replace(code.judging, accept_unsandboxed=options.accept_unsandboxed)
    chosen(judging.sandbox, accept_unsandboxed=judging.accept_unsandboxed)
    return judging, dict(list(problems(of).items())[: options.limit]), open_store(settings.store)


def _ids(steps: Mapping[str, tuple[int | None, str]]) -> dict[str, str]:
    return {address: model_id for address, (_, model_id) in steps.items()}


def _row(row: PassAtKRow, task: str, step: int | None) -> EvalRow:
    value = 0.0 if row.value is None else row.value
    return EvalRow(
        model=row.model,
        step=step,
        task=task,
        metric=f"pass@{row.k}",
        value=value,
        stderr=row.stderr,
        value_low=row.low,
        value_high=row.high,
        n=row.n,
        clusters=row.n,
        failed=0,
        shots=0,
        chance=None,
        p=None,
        variants=(value,),
        variant_names=("",),
        variants_low=None,
        variants_high=None,
        variants_std=None,
    )


def _pair(row: PassPair, task: str) -> EvalPair:
    known = (row.difference, row.low, row.high, row.only_a, row.only_b)
    return EvalPair(row.a, row.b, task, f"pass@{row.k}", *known, None, row.q, row.n)


@dataclass(frozen=True)
class _Writer:
    """One model that writes: which it is, how it draws, and where its samples are kept."""

    opened: Opened
    code: CodeOptions
    options: EvalOptions
    settings: Settings
    store: Store

    def programs(self, known: Mapping[str, Problem]) -> list[tuple[Problem, str]]:
        """A program for every sample of every problem; those that the store has are not drawn again."""
        return self._programs(list(self._draws(known)))[0]

    def share(self, known: Mapping[str, Problem], shard: Shard) -> tuple[Share, list[tuple[Problem, str]]]:
        """What a shard did, and its programs."""
        draws = {f"{generation} {number}": (generation, problem, number)
                 for generation, problem, number in self._draws(known)}  # fmt: skip
        mine = shard.takes(self.function_id, dict.fromkeys(draws, 1))
        programs, drawn = self._programs([draw for name, draw in draws.items() if name in mine])
        return Share(self.opened.address, "samples", len(draws), len(mine), drawn, len(mine) - drawn), programs

    def _draws(self, known: Mapping[str, Problem]) -> Iterator[_Draw]:
        for problem in known.values():
            generation = self._generation(problem)
            yield from ((generation, problem, number) for number in range(self.code.samples))

    def _programs(self, draws: Sequence[_Draw]) -> tuple[list[tuple[Problem, str]], int]:
        """The program of each draw, and how many were drawn now."""
        held = self.store.samples(list({generation for generation, _, _ in draws}))
        missing = {(draw[0], draw[2]): draw for draw in draws if (draw[0], draw[2]) not in held}
        if missing:
            held |= self._written(list(missing.values()))
        programs = [
            (problem, program_of(problem, held[generation, number], self.code.instructed))
            for generation, problem, number in draws
        ]
        return programs, len(missing)

    def _generation(self, problem: Problem) -> str:
        return hashlib.sha256(f"{self.function_id} {self.code.key(problem)}".encode()).hexdigest()[:16]

    @property
    def function_id(self) -> str:
        """What writes: the checkpoint as it is run here."""
        how = self.options.how
        running = Running(how.dtype, how.device, how.rope)
        return self.opened.function(self.opened.tokenizer.hash, running).function_id

    def _written(self, missing: Sequence[_Draw]) -> dict[tuple[str, int], str]:
        from kaibo.llama import generate

        causal = loaded_model(self.opened, self.options.how)
        self.settings.progress.begin(self.opened.address, len(missing), "samples")
        found: dict[tuple[str, int], str] = {}
        pending: list[dict[str, object]] = []
        since = time.monotonic()
        with Stopping() as stopping:
            try:
                for generation, problem, number in missing:
                    ids = prompt_ids(causal, self._prompt(problem))
                    written = generate(causal, ids, self.code.sampling(problem, number))
                    found[generation, number] = written.text
                    made = {"text": written.text, "ended": written.ended, "tokens": len(written.ids)}
                    named = {"generation": generation, "number": number, "function_id": self.function_id}
                    pending.append({**named, "problem": problem.hash, **made})
                    self.settings.progress.advance(1)
                    if time.monotonic() - since >= FLUSH_SECONDS:
                        self.store.record_samples(pending)
                        pending, since = [], time.monotonic()
                    if stopping.signal is not None:
                        break
            finally:
                self.store.record_samples(pending)
            stopping.check()
        return found

    def _prompt(self, problem: Problem) -> Prompt:
        if not self.code.instructed:
            return Prompt(problem.prompt)
        if self.code.template == "code-llama":
            return Prompt(problem.task, "code-llama", test=problem.shown)
        asked = (
            problem.task
            if not problem.shown
            else f"{problem.task}\nYour code should pass these tests:\n{problem.shown}"
        )
        return Prompt(f"{asked}\nAnswer with the whole function in one ```python block.", self.code.template)
