"""Pre-training steps of the reference beside transformers in a bare loop and in Trainer; the same bytes twice."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.harness import Figure, in_turn

SIZES = {
    "0.4M": (96, 256, 3, 6, 2),
    "1.4M": (192, 512, 3, 6, 2),
    "5.5M": (320, 864, 4, 10, 2),
}
VOCABULARY, BATCH, LENGTH, STEPS = 1536, 8, 128, 10


def figures(folder: Path) -> Iterator[Figure]:
    """Every figure in order; needs the extra `train`."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for name in SIZES:
            yield from beside_transformers(name, folder)
        yield same_bytes(folder)
    finally:
        torch.set_num_threads(threads)


def beside_transformers(name: str, folder: Path) -> Iterator[Figure]:
    """A step of each size: the reference beside the bare loop and Trainer; compiled it is only reported."""
    ours, loop, trainer = reference_steps(name), loop_steps(name), trainer_steps(name, folder)
    seen = f"{STEPS} steps of {BATCH} × {LENGTH} tokens, AdamW, 2 threads"
    mine, theirs = in_turn(ours, loop)
    rate = STEPS * BATCH * LENGTH / mine
    ratio = theirs / mine
    said = f"{rate:,.0f} tokens/s; {seen}"
    yield Figure(f"pre-training step, {name}", "transformers, bare loop", ratio, "×", "≥ 1", ratio >= 1, said)
    mine, theirs = in_turn(ours, trainer)
    ratio = theirs / mine
    yield Figure(f"pre-training step, {name}", "transformers Trainer", ratio, "×", "≥ 1.05", ratio >= 1.05, seen)
    compiled = compiled_steps(name)
    if compiled is not None:
        faster, plain = in_turn(compiled, ours, 3)
        yield Figure(
            f"pre-training step, {name}, compiled", "not compiled", plain / faster, "×", "reported", True, seen
        )


def _config(name: str) -> Any:
    from kaibo.llama import LlamaConfig

    width, wide, layers, heads, kv_heads = SIZES[name]
    return LlamaConfig(VOCABULARY, width, wide, layers, heads, kv_heads, width // heads, 256, tied=True)


def _batches() -> Any:
    import torch

    random = torch.Generator().manual_seed(0)
    return torch.randint(0, VOCABULARY, (STEPS, BATCH, LENGTH + 1), generator=random)


def _steps(model: Any, loss_of: Callable[[Any], Any]) -> Callable[[], None]:
    """`STEPS` steps with the optimiser and clipping of a recipe."""
    import torch

    update = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    batches = _batches()

    def work() -> None:
        for ids in batches:
            loss_of(ids).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            update.step()
            update.zero_grad(set_to_none=True)

    return work


def reference_steps(name: str) -> Callable[[], None]:
    """Ours: the reference and its loss, as `pretrain` steps."""
    from kaibo.llama import Llama, initialise, mean_loss

    model = initialise(Llama(_config(name)), 0).train()
    return _steps(model, lambda ids: mean_loss(model, ids[:, :-1], ids[:, 1:]))


def compiled_steps(name: str) -> Callable[[], None] | None:
    """The same with torch.compile; None where there is no compiler."""
    import torch

    from kaibo.llama import Llama, initialise

    model = initialise(Llama(_config(name)), 0).train()

    def loss_of(ids: Any) -> Any:
        logits = model.logits(model(ids[:, :-1]))
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())

    work = _steps(model, torch.compile(loss_of))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            work()
    except Exception:  # noqa: BLE001 - without a compiler on the machine, errors of many families
        return None
    return work


def _theirs(name: str) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    width, wide, layers, heads, kv_heads = SIZES[name]
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=wide,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        use_cache=False,
    )
    return LlamaForCausalLM(config).train()


def loop_steps(name: str) -> Callable[[], None]:
    """transformers' model and loss in the same bare loop; it shifts the labels itself."""
    model = _theirs(name)
    return _steps(model, lambda ids: model(input_ids=ids[:, :-1], labels=ids[:, :-1]).loss)


def trainer_steps(name: str, folder: Path) -> Callable[[], None]:
    """The same model, batches and optimiser in Trainer, logging and saving nothing."""
    from transformers import Trainer, TrainingArguments
    from transformers.trainer_callback import PrinterCallback

    rows = [{"input_ids": row[:-1], "labels": row[:-1]} for ids in _batches() for row in ids]
    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"),
        max_steps=STEPS,
        per_device_train_batch_size=BATCH,
        optim="adamw_torch_fused",
        adam_beta2=0.95,
        weight_decay=0.1,
        learning_rate=1e-3,
        lr_scheduler_type="constant",
        max_grad_norm=1.0,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    trainer = Trainer(model=_theirs(name), args=arguments, train_dataset=rows)
    trainer.remove_callback(PrinterCallback)
    return lambda: trainer.train()


def same_bytes(folder: Path) -> Figure:
    """The nursery for tests without its children, made twice: every weight file compared."""
    from dataclasses import replace

    from kaibo.collect import TrainingBar
    from kaibo.recipes.nurseries.nursery import nursery
    from kaibo.recipes.runs.workshop import Workshop
    from kaibo.recipes.settings.presets import PRESETS

    made = []
    for name in ("once", "twice"):
        preset = replace(PRESETS["micro"], children=None)
        out = folder / name
        list(nursery(preset, Workshop(out, lambda address: Path(address).name, TrainingBar(False))))
        made.append({path.relative_to(out): path.read_bytes() for path in sorted(out.rglob("*.safetensors"))})
    same = sum(made[0][path] == made[1].get(path) for path in made[0])
    share = same / len(made[0])
    seen = f"{same} of {len(made[0])} files of {len(list((folder / 'once').glob('*/run.json')))} runs"
    return Figure("same recipe and seed", "itself, a second time", share, "of the bytes", "= 1", share == 1.0, seen)
