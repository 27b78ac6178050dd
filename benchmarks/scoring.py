"""Scoring texts beside a plain transformers loop over the same windows, and beside one process a checkpoint."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Figure, in_turn, kaibo, process

TOKENS, VOCABULARY, WINDOW, STRIDE = 200_000, 128_000, 512, 256
CHECKPOINTS = 12

PREPARE = """
import sys, torch, transformers
from tokenizers import Tokenizer, models, pre_tokenizers
folder, size, vocabulary, count = sys.argv[1], *map(int, sys.argv[2:])
words = {f"w{place}": place for place in range(vocabulary)}
plain = Tokenizer(models.WordLevel(words, unk_token="w0"))
plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
config = transformers.LlamaConfig(hidden_size=size, intermediate_size=2 * size, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=4, vocab_size=vocabulary, max_position_embeddings=1024)
for place in range(count):
    torch.manual_seed(place)
    path = f"{folder}/checkpoint-{place}" if count > 1 else folder
    transformers.LlamaForCausalLM(config).save_pretrained(path)
    transformers.PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="w0").save_pretrained(path)
"""

PLAIN = """
import sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
torch.set_num_threads(2)
folder, text, window, stride = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
ids = torch.tensor(tokenizer(open(text).read())["input_ids"])
total, done, end = 0.0, 1, min(window, len(ids))
with torch.no_grad():
    while done < len(ids):
        piece = ids[max(0, end - window) : end][None]
        labels = piece.clone()
        labels[0, : piece.shape[1] - (end - done)] = -100
        total += float(model(piece, labels=labels).loss) * (end - done)
        done, end = end, min(len(ids), end + stride)
print(total)
"""


def figures(folder: Path, tokens: int = TOKENS, vocabulary: int = VOCABULARY) -> Iterator[Figure]:
    """Seconds and peak memory of whole processes, then a series in one process beside one process each."""
    text = folder / "words.txt"
    text.write_text(" ".join(f"w{place * 7919 % vocabulary}" for place in range(tokens)))
    model = made(folder / "wide", 32, vocabulary, 1)
    yield from beside_a_plain_loop(model, text, tokens)
    short = folder / "short.txt"
    short.write_text(" ".join(f"w{place * 7919 % 1000}" for place in range(2000)))
    yield beside_processes(made(folder / "run", 64, 1000, CHECKPOINTS), short)


def made(folder: Path, size: int, vocabulary: int, count: int) -> Path:
    """One model in a folder, or as many checkpoints in folders below it, with a tokenizer of plain words."""
    process([sys.executable, "-c", PREPARE, str(folder), *map(str, (size, vocabulary, count))])
    return folder


def scored(models: list[Path], text: Path, *more: str) -> list[str]:
    """The command line that scores a text anew."""
    store = text.parent / "score-store"
    shutil.rmtree(store, ignore_errors=True)
    return kaibo("score", *map(str, models), "--text", str(text), "--store", str(store), "--workers", "2", *more)


def beside_a_plain_loop(model: Path, text: Path, tokens: int) -> Iterator[Figure]:
    """Both as whole processes, start to end, libraries and all."""
    sizes = ("--window", str(WINDOW), "--stride", str(STRIDE))
    ours = process(scored([model], text, *sizes))
    peer = process([sys.executable, "-c", PLAIN, str(model), str(text), str(WINDOW), str(STRIDE)])
    name, other = f"perplexity of {tokens:,} tokens, vocabulary {VOCABULARY:,}", "a plain transformers loop"
    ratio = peer.seconds / ours.seconds
    yield Figure(name, other, ratio, "x", ">= 1.3", ratio >= 1.3, f"{ours.seconds:.1f} against {peer.seconds:.1f} s")
    share = ours.peak / peer.peak
    yield Figure(
        name, other, share, "x peak memory", "<= 0.5", share <= 0.5, f"{ours.peak:.0f} against {peer.peak:.0f} MiB"
    )


def beside_processes(run: Path, text: Path) -> Figure:
    """A series in one process, beside the same command once for each checkpoint."""
    each = sorted(run.iterdir())
    ours, peer = in_turn(
        lambda: process(scored([run], text)), lambda: [process(scored([one], text)) for one in each], runs=1
    )
    seen = f"{ours:.1f} against {peer:.1f} s"
    name = f"{CHECKPOINTS} checkpoints, same text"
    return Figure(name, f"{CHECKPOINTS} processes", peer / ours, "x", ">= 2", peer / ours >= 2, seen)
