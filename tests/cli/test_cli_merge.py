"""`kaibo merge`: the report first, one document, a configuration understood or refused by the name of its field."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kaibo.testing import tiny_model

Run = Callable[..., Any]


@pytest.fixture
def three(tmp_path: Path) -> tuple[str, str, str]:
    for seed, name in enumerate("abc"):
        tiny_model(tmp_path / name, seed=seed, hidden=16, heads=2)
    return "a", "b", "c"


def test_the_document_has_the_names_of_the_design(kaibo: Run, three: tuple[str, str, str]) -> None:
    ran = kaibo("merge", *three, "--out", "out", "--json")
    assert ran.code == 0
    (row,) = ran.document["results"]
    assert row.keys() >= {"out", "method", "kept", "conflict"}
    assert (row["out"], row["method"]) == ("out", "ties")
    assert 0.19 < row["kept"] < 0.25
    assert [model["model"] for model in row["models"]] == ["b", "c"]
    assert {"by_layer", "by_role"} <= ran.document.keys()
    assert Path("out/model.safetensors").is_file()
    assert kaibo("inspect", "out").code == 0


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_report_writes_nothing_but_what_was_asked_for(
    language: str, kaibo: Run, three: tuple[str, str, str], tmp_path: Path
) -> None:
    drawn = ("--figure", "conflict.svg", "--table", "roles.csv")
    ran = kaibo("merge", *three, "--report", "--lang", language, *drawn)
    assert ran.code == 0
    assert {"en": "survive trimming", "ja": "刈り込み後に残り"}[language] in ran.out
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".kaibo.json", "a", "b", "c", "conflict.svg", "roles.csv", "store",
    ]  # fmt: skip
    assert "attention.q" in Path("roles.csv").read_text()


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ((), 2, "--out DIR"),
        (("--out", "o", "--method", "mean"), 2, 'method "mean"'),
        (("--out", "o", "--density", "2"), 2, "a density is a share"),
        (("--out", "o", "--density", "0.2,0.3,0.4"), 2, "3 densities for 2 models"),
        (("--out", "o", "--weight", "x"), 2, "--weight x is no number"),
        (("--out", "o", "--weight", "nan"), 2, "finite"),
        (("--out", "o", "--method", "slerp"), 2, "between two models"),
        (("--out", "o", "--method", "linear", "--weight", "1,-1,0"), 2, "add up to zero"),
        (("--out", "o", "--like", "others"), 2, 'conventions "others"'),
        (("--out", "o", "--dtype", "int8"), 2, 'output type "int8"'),
        (("--out", "o", "--shard-size", "big"), 2, '"big" is no size'),
        (("--report", "--draw", "it"), 2, "'it' is not one of"),
        (("--out", "a"), 2, "one of the models"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    options: tuple[str, ...], code: int, said: str, kaibo: Run, three: tuple[str, str, str]
) -> None:
    ran = kaibo("merge", *three, *options)
    assert ran.code == code
    (line,) = ran.lines
    assert said in line


def test_a_tensor_that_a_model_lacks_is_an_error_unless_it_may_stay(
    kaibo: Run, three: tuple[str, str, str], tmp_path: Path
) -> None:
    tiny_model(tmp_path / "longer", layers=3, hidden=16, heads=2)
    ran = kaibo("merge", "longer", "a", "--out", "out")
    assert ran.code == 3
    assert "has no counterpart in a" in ran.err
    assert not Path("out").exists()
    ran = kaibo("merge", "longer", "a", "--out", "out", "--partial", "--json")
    assert ran.code == 0
    assert any("layers.2.mlp.down.weight" in note or "layers.2" in note for note in ran.document["warnings"])


CONFIG: dict[str, Any] = {
    "merge_method": "ties",
    "base_model": "a",
    "models": [{"model": "b", "parameters": {"weight": 1.0}}, {"model": "c", "parameters": {"weight": 0.5}}],
    "parameters": {"density": 0.5, "int8_mask": True},
    "dtype": "bfloat16",
}


def test_a_configuration_does_what_its_options_say(kaibo: Run, three: tuple[str, str, str]) -> None:
    Path("merge.yaml").write_text(json.dumps(CONFIG))  # JSON is YAML
    ran = kaibo("merge", "merge.yaml", "--out", "one", "--json")
    assert ran.code == 0
    assert "mergekit computes in bfloat16 throughout" in " ".join(ran.document["warnings"])
    options = ("--like", "mergekit", "--density", "0.5", "--weight", "1,0.5", "--dtype", "bfloat16")
    assert kaibo("merge", *three, "--out", "two", *options).code == 0
    assert Path("one/model.safetensors").read_bytes() == Path("two/model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"slices": []}, "slices"),
        ({"merge_method": "dare_ties"}, "merge_method"),
        ({"tokenizer_source": "union"}, "tokenizer_source"),
        ({"parameters": {"density": [0.1, 0.9]}}, "parameters.density"),
        ({"parameters": {"rescale": True}}, "parameters.rescale"),
        ({"parameters": {"epsilon": 0.1}}, "parameters.epsilon"),
        ({"models": [{"model": "b", "parameters": {"gamma": 1}}]}, "gamma"),
        ({"models": [{"model": "b"}]}, "weight"),
        ({"base_model": None}, "base_model"),
        ({"models": None}, "models"),
    ],
)
def test_a_field_that_is_not_done_is_refused_by_name(
    change: dict[str, Any], field: str, kaibo: Run, three: tuple[str, str, str]
) -> None:
    Path("merge.yaml").write_text(json.dumps({**CONFIG, **change}))
    ran = kaibo("merge", "merge.yaml", "--out", "out")
    assert ran.code == 2, ran.err
    (line,) = ran.lines
    assert field in line
    assert not Path("out").exists()


@pytest.mark.parametrize(("text", "code"), [("[1", 3), ("- a", 3), ("merge_method: {a: [", 3), (None, 4)])
def test_a_configuration_that_cannot_be_read_says_so(
    text: str | None, code: int, kaibo: Run, three: tuple[str, str, str]
) -> None:
    if text is not None:
        Path("merge.yaml").write_text(text)
    ran = kaibo("merge", "merge.yaml", "--out", "out")
    assert ran.code == code
    assert len(ran.lines) == 1


@pytest.mark.parametrize("option", ["--lambda", "--weight", "--density"])
def test_numbers_that_are_not_finite_are_refused(option: str, kaibo: Run, three: tuple[str, str, str]) -> None:
    for number in ("inf", "nan"):
        ran = kaibo("merge", *three, option, number, "--report")
        assert ran.code == 2
        assert "finite" in ran.lines[0]
