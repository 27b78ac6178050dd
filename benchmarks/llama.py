"""The reference LLaMA beside transformers: scoring a text and writing with a cache; `training` has the steps."""

from __future__ import annotations

import gc
import logging
import resource
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import Figure, in_turn
from kaibo.llama import Llama, Sampling, generate, initialise, load_llama, open_causal, token_losses

VOCABULARY = 2048
SIZE = {"hidden_size": 272, "num_hidden_layers": 6, "num_attention_heads": 8, "intermediate_size": 720}


def figures(folder: Path) -> Iterator[Figure]:
    """Every figure in order; the folder holds the model meanwhile."""
    logging.getLogger("transformers").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        place, theirs = _model(folder)
        yield _scoring(place, theirs)
        yield _memory(place)
        yield _writing(place, theirs)


def _model(folder: Path) -> tuple[Path, Any]:
    """5.2 million weights, a tied head counted once."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    shared = {"vocab_size": VOCABULARY, "num_key_value_heads": 2, "max_position_embeddings": 1024}
    ends = {"bos_token_id": 0, "eos_token_id": None, "pad_token_id": 0}
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZE, **shared, **ends, tie_word_embeddings=True))
    place = folder / "llama"
    model.save_pretrained(place)
    return place, model


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
    config = replace(load_llama(place).config, vocabulary=32_000)
    model, ids = initialise(Llama(config)).eval(), torch.randint(0, config.vocabulary, (4, 1024))
    token_losses(model, ids[:1, :64])
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    token_losses(model, ids)
    added = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    whole = ids.numel() * config.vocabulary * 4 / 2**20
    seen = f"{added:.0f} MiB more at the peak; batch × length × vocabulary would be {whole:.0f} MiB"
    ratio = added / whole
    return Figure("memory to score 4 × 1,024 tokens", "their logits", ratio, "of", "≤ 0.25", ratio <= 0.25, seen)


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
    return Figure("greedy text of 256 tokens, 5.2M", "generate", ratio, "× tokens/s", "≥ 1.5", ratio >= 1.5, seen)
