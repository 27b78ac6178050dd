"""`kaibo eval` beside lm-evaluation-harness's own `hf` model: the same requests, the same numbers, the seconds."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Figure
from kaibo.collect.evaluations import take_exam
from kaibo.scoring.exams.exams import ExamSettings, exam
from kaibo.scoring.exams.prompting import Paper, papers
from kaibo.scoring.exams.task_files import read_task
from kaibo.scoring.texts.tokens import load_tokenizer
from kaibo.store import Store

JGLUE = Path(__file__).resolve().parents[2] / "shared" / "reference" / "jglue"
BATCHES = (1, 8, 32)
TRIAL = 12
"""Questions on which the harness's best batch size is found; all are timed with that one."""


@dataclass(frozen=True)
class Taken:
    """Stands for a checkpoint whose weights were counted before."""

    address: str
    step: int | None = None
    model_id: str = "bench"
    function_id: str = "bench"
    tokenizer_hash: str = ""


def figures(folder: Path, questions: int = 200) -> Iterator[Figure]:
    """Both rows; the first is left out where the reference folder is not there."""
    if JGLUE.is_dir():
        rows = [json.loads(line) for line in next(JGLUE.glob("jcommonsenseqa*")).read_text("utf-8").splitlines()]
        model = small_llama(folder / "ja", [f"{row['question']} {row['choice0']} {row['choice1']}" for row in rows])
        (paper,) = papers(read_task("jcommonsenseqa"), str(JGLUE), shots=3, limit=questions)
        yield beside_harness(f"3-shot JCommonsenseQA, {questions} questions x 5 options", model, paper, folder, 15)
    else:
        print("left out: 3-shot JCommonsenseQA (../shared/reference/jglue is not here)", flush=True)
    words = arc_like(folder / "arc.jsonl", questions)
    (paper,) = papers(read_task("arc"), str(folder / "arc.jsonl"), shots=0)
    model = small_llama(folder / "en", words)
    yield beside_harness(f"0-shot, ARC-like, {questions} questions x 4 options", model, paper, folder, 2)


def small_llama(folder: Path, texts: Sequence[str]) -> Path:
    """15 million random parameters, and a tokenizer made from the texts."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer, plain.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=6000, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    plain.train_from_iterator(texts, trainer)
    PreTrainedTokenizerFast(tokenizer_object=plain, bos_token="<s>", eos_token="</s>").save_pretrained(folder)
    sizes = {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 6}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = LlamaConfig(vocab_size=6000, max_position_embeddings=2048, bos_token_id=0, eos_token_id=1, **sizes)
        LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def arc_like(path: Path, count: int) -> list[str]:
    """Questions of about 25 words with four options of one to four."""
    random = np.random.default_rng(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(random.choice(list(letters), random.integers(2, 9))) for _ in range(3000)]

    def text(low: int, high: int) -> str:
        return " ".join(random.choice(words, random.integers(low, high)))

    rows = [
        {
            "question": text(18, 32) + "?",
            "choices": {"text": [text(1, 5) for _ in range(4)], "label": ["A", "B", "C", "D"]},
            "answerKey": "ABCD"[random.integers(4)],
        }
        for _ in range(count)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return words


def beside_harness(name: str, model: Path, paper: Paper, folder: Path, reach: int) -> Figure:
    from kaibo.llama import open_causal

    tokenizer, causal = load_tokenizer(str(model)), open_causal(model, dtype="float32")
    best, theirs, peer = harness(model, paper)
    seconds, sums = [], None
    for run in range(4):  # the first warms up
        started = time.perf_counter()
        asked = exam(paper, tokenizer, causal.context, ExamSettings(), causal.ends)
        store = Store(folder / f"store-{model.name}-{run}")
        sat = take_exam("", Taken(str(model)), asked, lambda: causal, store, 512)
        seconds.append(time.perf_counter() - started)
        sums = [-one for answer in sat.sitting.answers for one in answer.nats]
    ours = float(np.median(seconds[1:]))
    apart = float(np.abs(np.array(sums) - np.array(theirs)).max())
    same = accuracy(paper, sums or []) == accuracy(paper, theirs)
    seen = f"{ours:.2f} s against {peer:.1f} s, {apart:.1e} apart, accuracy {'the same' if same else 'NOT the same'}"
    holds = peer / ours >= reach and apart <= 1e-4 and same
    return Figure(
        name, f"lm-evaluation-harness hf, batch {best}", peer / ours, "times faster", f">= {reach}", holds, seen
    )


def harness(model: Path, paper: Paper) -> tuple[int, list[float], float]:
    """The harness's best batch size, its log-likelihoods, and its seconds for all questions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lm_eval.models.huggingface import HFLM

        own = HFLM(pretrained=str(model), device="cpu", dtype="float32", batch_size=1)
        trials = {}
        for batch in BATCHES:
            own.batch_size_per_gpu = batch
            trials[batch] = asked(own, instances(paper, TRIAL))[0]
        best = min(trials, key=trials.__getitem__)
        own.batch_size_per_gpu = best
        seconds, told = asked(own, instances(paper, None))
    return best, [one for one, _ in told], seconds


def instances(paper: Paper, count: int | None) -> list[Any]:
    from lm_eval.api.instance import Instance

    pairs = [pair for one in paper.questions[:count] for pair in zip(one.contexts, one.endings, strict=True)]
    return [Instance("loglikelihood", {}, pair, 0) for pair in pairs]


def asked(model: Any, requests: list[Any]) -> tuple[float, list[tuple[float, bool]]]:
    started = time.perf_counter()
    found = model.loglikelihood(requests, disable_tqdm=True)
    return time.perf_counter() - started, found


def accuracy(paper: Paper, sums: Sequence[float]) -> float:
    given = iter(sums)
    hits = [int(np.argmax([next(given) for _ in one.endings])) == one.right for one in paper.questions]
    return float(np.mean(hits))
