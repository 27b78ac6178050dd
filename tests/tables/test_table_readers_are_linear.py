"""A megabyte of one character in a cell, a header, a name or a rule takes about twice the time of half a megabyte."""

import contextlib
import json
import time
from pathlib import Path

import pytest

from kaibo.errors import KaiboError
from kaibo.figures.names import model_name
from kaibo.models.runs.checkpoints import step_of
from kaibo.reports.facts import without_folders
from kaibo.reports.markup import _latex, _markdown
from kaibo.tables.files.cells import read_amount, read_cells
from kaibo.tables.files.encodings import japanese_encoding
from kaibo.tables.files.headers import fact_of, header_key, is_row_number, without_brackets
from kaibo.tables.files.sheets import Hints
from kaibo.tables.names import canonical, family_of, shown_name, without_links
from kaibo.tables.read import from_bytes
from kaibo.tables.results.runs import from_name
from kaibo.tables.tidy import _parts
from kaibo.vocabulary.terminals import spelled
from kaibo.words import said

HALF, WHOLE = 1 << 19, 1 << 20
TIMES, NOISE = 4.0, 0.05
UNITS = (
    *"1 .-()|/\\[]_a,:;~<>=%'*",
    *("1 ", "1.", "1,", "1,111", "](", "[](", "<a ", "<a>", "1b", "8x", "(1e", "-shot", "1shot", ": ", "; ", "step"),
    *("step1", "checkpoint-", "models--", "a--", "--", "ｱ", "é", "\u3000", "１", "| -", "|-", "=1,", ", "),
)


def harness(text):
    value = {
        "results": {"t": {f"acc,{text[:100]}": 0.5}},
        "config": {"model_args": f"pretrained={text},revision={text}"},
    }
    return from_bytes(json.dumps(value).encode(), Path("results.json"), Hints())


def table(kind, template):
    def read(text):
        return from_bytes(template.replace("X", text).encode(), Path(f"t.{kind}"), Hints())

    return read


READERS = {
    "cell": lambda text: (read_cells([text, f"{text}!"]), read_amount(text), read_amount(f"{text}!")),
    "header": lambda text: (header_key(text), fact_of(text), fact_of(f"({text}"), is_row_number(text), _parts(text)),
    "brackets": without_brackets,
    "name": lambda text: (shown_name(text), canonical(text), family_of(text), family_of(f"{text}!"), from_name(text)),
    "links": lambda text: without_links(f"[{text}"),
    "step": lambda text: (step_of(text), step_of(f"{text}!")),
    "encoding": lambda text: japanese_encoding(text.encode("cp932", "replace") + b"\xff"),
    "report": lambda text: (without_folders(text), without_folders(f"/{text}"), _markdown(text), _latex(text)),
    "note": lambda text: (said(text, "ja"), said(text[:4000], "ja")),
    "figure": lambda text: (model_name(text), model_name(f"models--{text}/snapshots/x")),
    "terminal": spelled,
    "CSV cell": table("csv", "model,x\na,X\nb,1\n"),
    "CSV name": table("csv", "model,x\nX,2\nb,1\n"),
    "CSV header": table("csv", "model,X\na,1\nb,2\n"),
    "Markdown rule": table("md", "| model | x |\n|X\n| a | 1 |\n"),
    "Markdown row": table("md", "| model | x |\n|---|---|\n| X | 1 |\n"),
    "Markdown header": table("md", "| model | X |\n|---|---|\n| a | 1 |\n"),
    "JSON lines": table("jsonl", '{"model": "a", "x": "X"}\n'),
    "harness": harness,
}


def seconds(reader, unit, size):
    text = unit * (size // len(unit))
    begin = time.process_time()
    with contextlib.suppress(KaiboError):
        reader(text)
    return time.process_time() - begin


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_reading_takes_time_in_proportion_to_the_text(name):
    for unit in UNITS:
        half = min(seconds(READERS[name], unit, HALF) for _ in range(2))
        whole = min(seconds(READERS[name], unit, WHOLE) for _ in range(2))
        assert whole <= TIMES * half + NOISE, f"{unit!r}: {half:.3f} s for half, {whole:.3f} s for the whole"


@pytest.mark.parametrize("name", READERS)
def test_a_short_text_is_not_much_faster_than_one_four_times_as_long(name):
    """The same at 4 and 16 kB, where a reader that is not linear shows already, for every run of the tests."""
    for unit in UNITS:
        short = min(seconds(READERS[name], unit, 1 << 12) for _ in range(2))
        long = min(seconds(READERS[name], unit, 1 << 14) for _ in range(2))
        assert long <= 4 * TIMES * short + NOISE, f"{unit!r}: {short:.4f} s for 4 kB, {long:.4f} s for 16 kB"
