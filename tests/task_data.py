"""A few rows in the shape of every shipped task, made up here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scoring_models import save_tokenizer

__all__ = ["ROWS", "WORDY", "save_tokenizer", "write_rows", "write_task"]

ROWS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "boolq": [
        {"passage": "The fox is quick.", "question": "is the fox quick", "label": 1},
        {"passage": "The fox is quick.", "question": "is the fox slow", "label": 0},
        {"passage": "The dog is lazy.", "question": "is the dog lazy", "label": 1},
        {"passage": "The dog is brown.", "question": "is the dog green", "label": 0},
    ],
    "piqa": [
        {"goal": "Open a jar", "sol1": "turn the lid", "sol2": "eat the lid slowly", "label": 0},
        {"goal": "Cook rice ", "sol1": "burn it", "sol2": "boil it", "label": 1},
        {"goal": "Wake up", "sol1": "sleep", "sol2": "sleep less, and rise", "label": 1},
    ],
    "siqa": [
        {
            "context": "Ann ran.",
            "question": "Why?",
            "answerA": "late",
            "answerB": "bored",
            "answerC": "blue",
            "label": "1",
        },
        {
            "context": "Bob sat.",
            "question": "Then?",
            "answerA": "flew",
            "answerB": "rested",
            "answerC": "fox",
            "label": "2",
        },
    ],
    "hellaswag": [
        {
            "activity_label": "Dogs",
            "ctx_a": "A dog runs.",
            "ctx_b": "the dog",
            "endings": ["jumps [title] high", "sings", "  is  a fox", "[step] sleeps"],
            "label": "0",
        },
        {"activity_label": "Fox", "ctx_a": "It", "ctx_b": "", "endings": ["is", "is not", "was", "over"], "label": "3"},
    ],
    "winogrande": [
        {"sentence": "The fox saw the dog, so _ ran away.", "option1": "the fox", "option2": "the dog", "answer": "1"},
        {"sentence": "Ann helped Bob since _ was kind.", "option1": "Ann", "option2": "Bob", "answer": "1"},
    ],
    "arc": [
        {
            "question": "What is lazy?",
            "choices": {"text": ["dog", "fox", "the quick one", "it"], "label": ["A", "B", "C", "D"]},
            "answerKey": "A",
        },
        {"question": "What jumps?", "choices": {"text": ["fox", "rock"], "label": ["1", "2"]}, "answerKey": "2"},
    ],
    "openbookqa": [
        {"question_stem": "The sun is", "choices": {"text": ["hot", "cold"], "label": ["A", "B"]}, "answerKey": "A"},
        {"question_stem": "A fox has", "choices": {"text": ["fur", "wheels"], "label": ["A", "B"]}, "answerKey": "B"},
    ],
    "mmlu": [
        {"question": " What is 2 + 2? ", "choices": ["3", "4", "5", "6"], "answer": 1},
        {"question": "Which is a fox?", "choices": ["fox", "dog", "cat", "cow"], "answer": 0},
    ],
    "lambada": [{"text": "the quick brown fox"}, {"text": "over the lazy dog"}, {"text": "the the the"}],
    "mgsm": [
        {"question": "問題：3と4を足すと？", "answer": "ステップごとの答え：3+4=7。答えは7です。", "answer_number": 7},
        {"question": "問題：5から2を引くと？", "answer": "ステップごとの答え：答えは3です。", "answer_number": 3},
    ],
    "jnli": [
        {"sentence_pair_id": "0", "sentence1": "猫がいる。", "sentence2": "動物がいる。", "label": "entailment"},
        {"sentence_pair_id": "1", "sentence1": "犬がいる。", "sentence2": "犬がいない。", "label": "contradiction"},
        {"sentence_pair_id": "2", "sentence1": "犬が走る。", "sentence2": "晴れている。", "label": "neutral"},
    ],
    "marc_ja": [
        {"sentence": "とても良い。", "label": "positive"},
        {"sentence": "壊れていた。", "label": "negative"},
        {"sentence": "好きです。", "label": 0},
    ],
    "jcommonsenseqa": [
        {"q_id": k, "question": f"猫は何匹いる？{k}", **{f"choice{c}": f"{c + k}匹" for c in range(5)}, "label": k % 5}
        for k in range(6)
    ],
}

WORDY = """
[task]
name = "wordy"
[data]
path = "rows.jsonl"
map = { id = "id", group = "passage" }
[prompt]
template = "{{ passage }} {{ question }}"
options = "options"
target = "target"
[few_shot]
n = 1
"""


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return path


def write_task(folder: Path, text: str = WORDY, rows: Sequence[Mapping[str, Any]] | None = None) -> Path:
    """A task file beside its rows: sixteen questions on four passages."""
    words = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog"]
    made = rows or [
        {
            "id": f"q{k}",
            "passage": f"Passage {k // 4}: {' '.join(words[k // 4 % 3 :])}.",
            "question": f"Which word, {k}?",
            "options": [words[k % 9], f"{words[(k + 4) % 9]} {words[k % 5]}", "dog dog"],
            "target": k % 3,
        }
        for k in range(16)
    ]
    write_rows(folder / "rows.jsonl", made)
    (folder / "task.toml").write_text(text, encoding="utf-8")
    return folder / "task.toml"
