"""Scoring texts beside a plain transformers loop over the same windows, and beside one process a checkpoint."""

from __future__ import annotations

import shutil
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Figure, Process, kaibo, process

TOKENS, VOCABULARY, WINDOW, STRIDE = 200_000, 128_000, 512, 256
CHECKPOINTS = 12
SHARE = 24
"""Windows that the plain loop is timed on, before and after ours: each takes it as long, and all would take minutes."""

PREPARE = """
import sys, torch, transformers
from tokenizers import Tokenizer, models, pre_tokenizers
folder, size, layers, vocabulary, count = sys.argv[1], *map(int, sys.argv[2:])
words = {f"w{place}": place for place in range(vocabulary)}
plain = Tokenizer(models.WordLevel(words, unk_token="w0"))
plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
config = transformers.LlamaConfig(hidden_size=size, intermediate_size=8 * size // 3, num_hidden_layers=layers,
    num_attention_heads=4, num_key_value_heads=4, vocab_size=vocabulary, max_position_embeddings=1024,
    tie_word_embeddings=vocabulary > 100_000)  # as models with so large a vocabulary and so few layers do
for place in range(count):
    torch.manual_seed(place)
    path = f"{folder}/checkpoint-{place}" if count > 1 else folder
    transformers.LlamaForCausalLM(config).save_pretrained(path)
    transformers.PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="w0").save_pretrained(path)
"""

PLAIN = """
import sys, time, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
torch.set_num_threads(2)
folder, text, window, stride, most, told = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6]), sys.argv[6]
tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
ids = torch.tensor(tokenizer(open(text).read())["input_ids"])
total, done, end, begin, windows = 0.0, 1, min(window, len(ids)), time.perf_counter(), 0
with torch.no_grad():
    while done < len(ids) and windows < most:
        piece = ids[max(0, end - window) : end][None]
        labels = piece.clone()
        labels[0, : piece.shape[1] - (end - done)] = -100
        total += float(model(piece, labels=labels).loss) * (end - done)
        done, end, windows = end, min(len(ids), end + stride), windows + 1
print((time.perf_counter() - begin) / windows, file=open(told, "w"))
"""

LIBRARIES = "import torch, transformers; transformers.LlamaForCausalLM, transformers.AutoTokenizer"
OURS = "import tokenizers, pyarrow.parquet, kaibo.chapters.score.ask"


def figures(folder: Path, tokens: int = TOKENS, vocabulary: int = VOCABULARY) -> Iterator[Figure]:
    """Seconds and peak memory of whole processes, then a series in one process beside one process each."""
    text = folder / "words.txt"
    text.write_text(" ".join(f"w{place * 7919 % vocabulary}" for place in range(tokens)))
    model = made(folder / "wide", 256, 8, vocabulary, 1)
    yield from beside_a_plain_loop(model, text, tokens)
    short = folder / "short.txt"
    short.write_text(" ".join(f"w{place * 7919 % 1000}" for place in range(2000)))
    yield beside_processes(made(folder / "run", 256, 8, 1000, CHECKPOINTS), short)


def made(folder: Path, size: int, layers: int, vocabulary: int, count: int) -> Path:
    """One model in a folder, or as many checkpoints in folders below it, with a tokenizer of plain words."""
    process([sys.executable, "-c", PREPARE, str(folder), *map(str, (size, layers, vocabulary, count))])
    return folder


def scored(models: list[Path], text: Path, *more: str) -> list[str]:
    """The command line that scores a text anew."""
    store = text.parent / "score-store"
    shutil.rmtree(store, ignore_errors=True)
    return kaibo("score", *map(str, models), "--text", str(text), "--store", str(store), "--workers", "2", *more)


def beside_a_plain_loop(model: Path, text: Path, tokens: int) -> Iterator[Figure]:
    """Both as whole processes, start to end, libraries and all; ours reads the whole text, the loop a share of it."""
    windows = 1 + -(-max(tokens - WINDOW, 0) // STRIDE)
    before = plain_loop(model, text, windows)
    ours = process(scored([model], text, "--window", str(WINDOW), "--stride", str(STRIDE)))
    after = plain_loop(model, text, windows)
    peer, peak = statistics.mean((before.seconds, after.seconds)), max(before.peak, after.peak)
    name, other = f"perplexity of {tokens:,} tokens, vocabulary {VOCABULARY:,}", "a plain transformers loop"
    ratio, timed = peer / ours.seconds, f"timed on 2 x {min(SHARE, windows)} of {windows} windows"
    seen = f"{ours.seconds:.1f} against {peer:.1f} s, {timed}"
    yield Figure(name, other, ratio, "x", ">= 1.3", ratio >= 1.3, seen)
    share = ours.peak / peak
    seen = f"{ours.peak:.0f} against {peak:.0f} MiB"
    yield Figure(name, other, share, "x peak memory", "<= 0.5", share <= 0.5, seen)
    bare = (
        process([sys.executable, "-c", LIBRARIES]).peak,
        process([sys.executable, "-c", f"import torch; {OURS}"]).peak,
    )
    beyond = (ours.peak - bare[1]) / (peak - bare[0])
    seen = f"{ours.peak - bare[1]:.0f} against {peak - bare[0]:.0f} MiB above the libraries"
    yield Figure(name, other, beyond, "x memory above libraries", "reported", True, seen)


def plain_loop(model: Path, text: Path, windows: int) -> Process:
    """The loop over the first windows, its seconds scaled to all of them; its start and its peak are as they are."""
    told, most = text.parent / "seconds.txt", min(SHARE, windows)
    took = process([sys.executable, "-c", PLAIN, *map(str, (model, text, WINDOW, STRIDE, most, told))])
    each = float(told.read_text())
    return Process(took.seconds + each * (windows - most), took.peak)


def beside_processes(run: Path, text: Path) -> Figure:
    """A series in one process, beside the same command once for each checkpoint."""
    each = sorted(run.iterdir())
    ours = process(scored([run], text)).seconds
    peer = sum(process(scored([one], text)).seconds for one in each)
    ours = statistics.mean((ours, process(scored([run], text)).seconds))
    seen = f"{ours:.1f} against {peer:.1f} s"
    name = f"{CHECKPOINTS} checkpoints, same text"
    return Figure(name, f"{CHECKPOINTS} processes", peer / ours, "x", ">= 2", peer / ours >= 2, seen)
