"""The reference LLaMA beside transformers: a training step, scoring a text, and writing with a cache."""

from __future__ import annotations

import gc
import logging
import resource
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import Figure, in_turn
from kaibo.llama import Llama, Sampling, generate, load_llama, mean_loss, open_causal, token_losses

BATCH, LENGTH, VOCABULARY = 8, 128, 2048
SIZES: dict[str, dict[str, int]] = {  # name: hidden, layers, heads, key/value heads, intermediate
    "0.4M": {"hidden_size": 80, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 216},
    "1.4M": {"hidden_size": 160, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 416},
    "5.5M": {"hidden_size": 272, "num_hidden_layers": 6, "num_attention_heads": 8, "intermediate_size": 720},
}
STEPS = 12


def figures(folder: Path) -> Iterator[Figure]:
    """Every figure in order; the folder holds the models meanwhile."""
    logging.getLogger("transformers").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in SIZES:
            place, theirs = _model(folder, name)
            yield _step(name, place, theirs)
            yield _trainer(name, place, folder)
        yield from _compiled(place)
        yield _scoring(place, theirs)
        yield _memory(place)
        yield _writing(place, theirs)


def _model(folder: Path, name: str) -> tuple[Path, Any]:
    import transformers

    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    shared = {"vocab_size": VOCABULARY, "num_key_value_heads": 2, "max_position_embeddings": 1024}
    ends = {"bos_token_id": 0, "eos_token_id": None, "pad_token_id": 0}
    config = transformers.LlamaConfig(**SIZES[name], **shared, **ends, tie_word_embeddings=True)
    model = transformers.LlamaForCausalLM(config)
    place = folder / f"llama-{name}"
    model.save_pretrained(place)
    return place, model


def _batches() -> torch.Tensor:
    return torch.randint(0, VOCABULARY, (BATCH, LENGTH + 1), generator=torch.Generator().manual_seed(0))


def _our_step(model: Llama, ids: torch.Tensor) -> Callable[[], object]:
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)
    model.train()

    def step() -> None:
        mean_loss(model, ids[:, :-1], ids[:, 1:]).backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def _their_step(model: Any, ids: torch.Tensor) -> Callable[[], object]:
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)
    model.train()

    def step() -> None:  # the same number of predictions: transformers shifts by itself
        model(input_ids=ids, labels=ids).loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def _step(name: str, place: Path, theirs: Any) -> Figure:
    ids = _batches()
    ours, peer = in_turn(_our_step(load_llama(place), ids), _their_step(theirs, ids), runs=STEPS)
    size = sum(weight.numel() for weight in theirs.parameters()) / 1e6
    seen = f"{size:.2f}M: {ours * 1e3:.1f} ms and {peer * 1e3:.1f} ms a step of {BATCH} × {LENGTH} tokens"
    ratio = peer / ours
    return Figure(f"training step, {name}", "transformers, bare loop", ratio, "× steps/s", "≥ 1", ratio >= 1, seen)


def _trainer(name: str, place: Path, folder: Path) -> Figure:
    """`Trainer` with the same batch and optimiser; a step of ours after each of its own."""
    import transformers

    ids = _batches()
    ours = _our_step(load_llama(place), ids)
    rows = [{"input_ids": row, "labels": row} for row in ids] * (STEPS + 2)
    mine: list[float] = []
    peers: list[float] = []

    class InTurn(transformers.TrainerCallback):
        """After each step of the trainer's comes one of ours; the trainer's seconds are those in between."""

        ended = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            peers.append(time.perf_counter() - self.ended)
            mine.append(_timed(ours))
            self.ended = time.perf_counter()

    settings = transformers.TrainingArguments(
        output_dir=str(folder / "trainer"), per_device_train_batch_size=BATCH, max_steps=STEPS + 2, learning_rate=1e-4,
        optim="adamw_torch", report_to=[], disable_tqdm=True, use_cpu=True, save_strategy="no",
        logging_strategy="no", max_grad_norm=0.0,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM.from_pretrained(place)
    transformers.Trainer(model=model, args=settings, train_dataset=rows, callbacks=[InTurn()]).train()
    own, peer = (statistics.median(seconds[2:]) for seconds in (mine, peers))
    ratio = peer / own
    seen = f"{own * 1e3:.1f} ms and {peer * 1e3:.1f} ms a step"
    reach = "≥ 1.05"
    return Figure(f"training step, {name}", "transformers, Trainer", ratio, "× steps/s", reach, ratio >= 1.05, seen)


def _timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _compiled(place: Path) -> Iterator[Figure]:
    """What torch.compile adds to a step of ours; nothing where there is no compiler."""
    ids = _batches()
    compiled, plain = load_llama(place), load_llama(place)
    compiled.compile()
    try:
        ours, peer = in_turn(_our_step(compiled, ids), _our_step(plain, ids), runs=STEPS // 2)
    except Exception as absent:  # noqa: BLE001 - whatever a missing or broken compiler raises
        print(f"     torch.compile: {type(absent).__name__}")
        return
    seen = f"{ours * 1e3:.1f} ms and {peer * 1e3:.1f} ms a step"
    yield Figure("training step, 5.5M, compiled", "not compiled", peer / ours, "× steps/s", "reported", True, seen)


def _scoring(place: Path, theirs: Any) -> Figure:
    model, ids = load_llama(place), torch.randint(0, VOCABULARY, (1, 1024))
    theirs.eval()

    @torch.inference_mode()
    def peer() -> object:
        logits = theirs(ids).logits[:, :-1]
        return torch.nn.functional.cross_entropy(logits[0].float(), ids[0, 1:], reduction="none")

    assert torch.allclose(token_losses(model, ids)[0], peer(), atol=1e-4)  # type: ignore[arg-type]
    mine, seconds = in_turn(lambda: token_losses(model, ids), peer, runs=9)
    ratio = seconds / mine
    seen = f"{mine * 1e3:.1f} ms and {seconds * 1e3:.1f} ms"
    return Figure("nats of a text of 1,024 tokens", "transformers", ratio, "× texts/s", "≥ 1", ratio >= 1, seen)


def _memory(place: Path) -> Figure:
    """What scoring a batch adds to the peak, beside what its whole logits would take."""
    model, ids = load_llama(place), torch.randint(0, VOCABULARY, (64, 1024))
    token_losses(model, ids[:1])
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for row in ids.split(4):
        token_losses(model, row)
    added = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    whole = ids.numel() * VOCABULARY * 4 / 2**20
    seen = f"{added:.0f} MiB more at the peak; batch × length × vocabulary would be {whole:.0f} MiB"
    ratio = added / whole
    return Figure("memory to score 64 × 1,024 tokens", "their logits", ratio, "of", "≤ 0.25", ratio <= 0.25, seen)


def _writing(place: Path, theirs: Any) -> Figure:
    model, prompt = open_causal(place), list(range(16))
    theirs.eval()
    ids = torch.tensor([prompt])

    def ours() -> object:
        return generate(model, prompt, Sampling(max_tokens=256)).ids

    def peer() -> object:
        made = theirs.generate(ids, max_new_tokens=256, do_sample=False, pad_token_id=0, attention_mask=ids >= 0)
        return tuple(made[0, len(prompt) :].tolist())

    assert ours() == peer(), "both write the same"
    mine, seconds = in_turn(ours, peer, runs=3)
    ratio = seconds / mine
    seen = f"{256 / mine:.0f} and {256 / seconds:.0f} tokens/s"
    return Figure("greedy text of 256 tokens, 5.5M", "generate", ratio, "× tokens/s", "≥ 1.5", ratio >= 1.5, seen)
