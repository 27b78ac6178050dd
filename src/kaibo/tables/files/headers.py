"""What a header means: the column that names the models, the facts about them, and the unit a header carries."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from kaibo.tables.files.cells import plain_text

MODEL_HEADERS = (
    "model", "model name", "models", "name", "fullname", "モデル", "モデル名", "model id", "model_name", "eval name",
    "モデル名称", "llm", "系统", "system",
)  # fmt: skip
"""Headers of the column that names the models, most telling first."""

CHECKPOINT_HEADERS = ("checkpoint", "step", "global step", "チェックポイント", "ステップ")
BENCHMARK_HEADERS = ("benchmark", "task", "ベンチマーク", "タスク")
VALUE_HEADERS = ("value", "score", "値", "スコア")
SIZE_HEADERS = (
    "size", "parameters", "params", "n", "model size", "parameter count", "num parameters", "n params",
    "パラメータ", "パラメータ数", "パラメーター数", "モデルサイズ", "サイズ",
)  # fmt: skip

_FACTS = {
    "parameters": SIZE_HEADERS,
    "tokens": (
        "tokens",
        "d",
        "training tokens",
        "pretraining data size",
        "train tokens",
        "学習トークン数",
        "トークン数",
    ),
    "flops": ("flops", "training flops", "compute", "training compute", "計算量"),
    "step": (*CHECKPOINT_HEADERS[1:3], "ステップ"),
}
_FAMILY = ("family", "model family", "families", "ファミリー", "系列", "系統", "モデルファミリー", "シリーズ")
_LABELS = (
    "date", "release date", "model release date", "submission date", "upload to hub date", "model sha", "sha", "type",
    "precision",
    "license", "hub license", "architecture", "weight type", "url", "link", "rank", "順位", "日付", "公開日",
    "model size category",
    "hub", "context", "learning rate", "generation", "hub likes", "co2 cost (kg)", "t",
)  # fmt: skip
_ROW_NUMBERS = frozenset(
    (
        "", "no", "no.", "nr", "nr.", "num", "number", "id", "idx", "index", "row", "row number", "row id", "rank",
        "ranking", "position", "pos", "pos.", "place", "s/n", "sl no", "sl. no.", "serial", "level 0", "index level 0",
        "番号", "番", "順位", "順番", "連番", "通番", "通し番号", "行", "行番号",
        "ランク", "ランキング",
        "序号", "排名", "번호", "순위",
    )
)  # fmt: skip
_UNNAMED = re.compile(r"unnamed: ?\d{1,9}(?:\.\d{1,9})?")
_UNIT = re.compile(
    r"[(\[（]\s*+(?:in\s*+)?(1e\d{1,2}|[kmbt]|billions?|millions?|trillions?|億|兆|万)\s*+[)\]）]", re.IGNORECASE
)
_SCALES = {
    "k": 1e3, "m": 1e6, "million": 1e6, "millions": 1e6, "b": 1e9, "billion": 1e9, "billions": 1e9, "t": 1e12,
    "trillion": 1e12, "trillions": 1e12, "万": 1e4, "億": 1e8, "兆": 1e12,
}  # fmt: skip


@dataclass(frozen=True)
class Fact:
    """A header recognised as a fact about models: `name` of `FACTS`, and the factor its unit stands for."""

    name: str
    scale: float


@lru_cache(4096)  # each header is asked for some nine times in a row
def header_key(name: str) -> str:
    """A header as it is compared: NFKC, case folded, `_`, `#` and signs of direction taken off.

    >>> header_key("Model_Name"), header_key("#Params (B)"), header_key("ToxiGen ↓")
    ('model name', 'params (b)', 'toxigen')
    """
    text = re.sub(r"[_#↑↓⬆⬇\ufe0f]+", " ", plain_text(name).casefold())
    return re.sub(r"\s+", " ", text).strip()


def without_brackets(name: str) -> str:
    """A header without what stands between its first `(` and its last `)`.

    >>> without_brackets("Params (B)"), without_brackets("((((")
    ('Params ', '((((')
    """
    begin, end = name.find("("), name.rfind(")")
    return name[:begin] + name[end + 1 :] if 0 <= begin < end else name


def names_models(name: str) -> bool:
    """Whether a header is one of those that name models."""
    return header_key(name) in MODEL_HEADERS


def fact_of(name: str) -> Fact | None:
    """The fact a header stands for, with the factor of its unit, or None.

    >>> fact_of("FLOPs (1E21)")
    Fact(name='flops', scale=1e+21)
    >>> fact_of("Model Size (B)"), fact_of("HumanEval")
    (Fact(name='parameters', scale=1000000000.0), None)
    """
    key = header_key(name)
    unit = _UNIT.search(key)
    bare = _UNIT.sub("", key).strip()
    for fact, headers in _FACTS.items():
        if bare in headers:
            return Fact(fact, 1.0 if unit is None else _scale(unit[1].lower()))
    return None


def _scale(unit: str) -> float:
    return float(unit) if unit.startswith("1e") else _SCALES[unit]


def is_family(name: str) -> bool:
    """Whether a header names the families of models."""
    return header_key(name) in _FAMILY


def is_row_number(name: str) -> bool:
    """Whether a header is that of a column which numbers the rows: without a name, `#`, `No.`, `番号`, `Ranking` …

    >>> is_row_number("#"), is_row_number("Unnamed: 0.1"), is_row_number("番号"), is_row_number("MMLU")
    (True, True, True, False)
    """
    key = header_key(name)
    return key in _ROW_NUMBERS or _UNNAMED.fullmatch(key) is not None


def is_label(name: str) -> bool:
    """Whether a header is bookkeeping (dates, hashes, ranks) rather than a score, even where it holds numbers."""
    return header_key(name) in _LABELS
