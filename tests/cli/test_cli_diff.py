"""`kaibo diff`: settings first, then the weights; nothing dropped in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kaibo as api
from kaibo.cli import main_loop
from kaibo.models import open_model
from kaibo.testing import tiny_model, write_safetensors
from kaibo.vocabulary import Tensor

NAMES = {"base", "tuned", "by", "key", "n", "l0", "l1", "l2", "linf", "relative", "cosine", "changed", "top"}
TOP = {"percent", "scope", "ties", "kept", "threshold", "l1", "l2"}


@pytest.fixture
def three(tmp_path: Path) -> tuple[str, str, str]:
    for seed, name in enumerate("abc"):
        tiny_model(tmp_path / name, seed=seed, shards=1 + seed)
    return "a", "b", "c"


def test_the_document_has_the_names_of_the_design(kaibo: Callable[..., Any], three: tuple[str, str, str]) -> None:
    ran = kaibo("diff", *three, "--json", "--top", "5,20")
    assert ran.code == 0
    document = ran.document
    assert [row["tuned"] for row in document["results"]] == ["b", "c"]
    for row in document["results"]:
        assert row.keys() >= NAMES
        assert [(top["percent"], top["scope"], top["ties"]) for top in row["top"]] == [
            (percent, scope, ties)
            for percent in (5, 20)
            for ties in ("reference", "exact")
            for scope in ("global", "tensor")
        ]
        assert all(top.keys() >= TOP for top in row["top"])
    (pair,) = document["pairs"]
    assert (pair["a"], pair["b"]) == ("b", "c")
    assert pair.keys() >= {"l1", "l2", "cosine", "sign_conflict"}
    assert document["unmatched"] == document["changes"] == []
    assert kaibo("diff", *three, "--json", "--top", "5,20").document == document


@pytest.mark.parametrize("by", ["layer", "role", "tensor"])
def test_the_parts_of_a_difference_add_up_to_the_whole(
    by: str, kaibo: Callable[..., Any], three: tuple[str, str, str]
) -> None:
    whole = kaibo("diff", "a", "b", "--json").document["results"][0]
    parts = kaibo("diff", "a", "b", "--by", by, "--json").document["results"]
    assert sum(part["n"] for part in parts) == whole["n"]
    assert sum(part["l0"] for part in parts) == whole["l0"]
    assert sum(part["l1"] for part in parts) == pytest.approx(whole["l1"])
    assert sum(part["l2"] ** 2 for part in parts) == pytest.approx(whole["l2"] ** 2)


def test_a_copy_in_other_shards_is_equal(kaibo: Callable[..., Any], tmp_path: Path) -> None:
    tiny_model(tmp_path / "a")
    tiny_model(tmp_path / "copy", shards=3)
    (row,) = kaibo("diff", "a", "copy", "--json").document["results"]
    assert row["identical"] == row["tensors"] == 21
    assert row["l1"] == row["l2"] == row["linf"] == row["changed"] == 0
    assert row["cosine"] == 1
    assert row["mae"] is None
    assert row["why"]["mae"] == "nothing changed"


def test_another_vocabulary_other_shards_and_a_missing_tensor_are_said(
    kaibo: Callable[..., Any], tmp_path: Path
) -> None:
    tiny_model(tmp_path / "a")
    tuned = tiny_model(tmp_path / "b", seed=1, vocabulary=66, shards=3)
    (tuned / "model.safetensors.index.json").unlink()
    shard = sorted(tuned.glob("*.safetensors"))[0]
    gone = drop(shard)
    for folder, size in ((tmp_path / "a", 64), (tuned, 66)):
        tokens = {f"t{row}": row for row in range(size)}
        (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": tokens}}))
    ran = kaibo("diff", "a", "b", "--json")
    assert ran.code == 0
    document = ran.document
    changed = {change["what"]: (change["before"], change["after"]) for change in document["changes"]}
    assert changed["config: vocab_size"] == (64, 66)
    assert changed["vocabulary: added"] == (None, 2)
    lone = {(row["side"], row["tensor"]): row["reason"] for row in document["unmatched"]}
    assert lone.pop(("base", gone)) == "the other model has no such tensor"
    assert set(lone.values()) == {"2 rows that the other model lacks"}
    assert any("aligned by token, 64 rows of 64 and 66" in warning for warning in document["warnings"])
    tables = {row["base_tensor"]: row["how"] for row in document["mapping"]}
    assert tables == dict.fromkeys(("embed_tokens.weight", "lm_head.weight"), "aligned by token, 64 rows of 64 and 66")
    for row in document["coverage"]:
        left = [one for one in document["unmatched"] if one["side"] == row["side"]]
        assert row["values"] == pytest.approx(1 - sum(one["share"] for one in left))
        assert 0.9 < row["values"] < 1
    shown = kaibo("diff", "a", "b")
    assert gone in shown.out
    assert "compared: " in shown.out


def test_a_model_with_fused_tensors_is_compared_part_by_part(kaibo: Callable[..., Any], tmp_path: Path) -> None:
    tiny_model(tmp_path / "b", shards=2)
    fuse(tiny_model(tmp_path / "a"))
    document = kaibo("diff", "a", "b", "--json", "--by", "role").document
    assert document["unmatched"] == []
    assert [(row["values"], row["bytes"]) for row in document["coverage"]] == [(1.0, 1.0)] * 2
    assert all(row["l0"] == 0 for row in document["results"])
    assert {row["key"] for row in document["results"]} >= {"attention.q", "attention.k", "attention.v", "mlp.up"}
    mapped = {row["base_tensor"]: row for row in document["mapping"]}
    row = mapped["layers.1.self_attn.qkv_proj.weight[k]"]
    assert (row["tuned_tensor"], row["how"]) == ("layers.1.self_attn.k_proj.weight", "fused in the base (q k v)")
    assert len(mapped) == 2 * 5
    assert any("6 tensors" in warning and "fused in the base (q k v)" in warning for warning in document["warnings"])
    again = kaibo("diff", "a", "b", "--json", "--by", "role").document
    assert again == document
    whole = kaibo("diff", "b", "a", "--json").document
    assert whole["results"][0]["identical"] == whole["results"][0]["tensors"]


def patterns(tensor: Tensor) -> np.ndarray:
    chunks = [chunk.copy() for chunk in tensor.chunks(np.empty(1 << 16, np.uint8))]
    return np.concatenate(chunks).reshape(tensor.shape)


def fuse(folder: Path) -> None:
    """Writes a LLaMA-shaped model as Phi-3 stores it: q, k and v in one tensor, gate and up in another."""
    tensors = {tensor.name: patterns(tensor) for tensor in open_model(folder).tensors}
    fused = {}
    for name, array in tensors.items():
        if name.endswith(("q_proj.weight", "gate_proj.weight")):
            parts = "qkv" if "q_proj" in name else ("gate", "up")
            first = parts[0]
            whole = [tensors[name.replace(f"{first}_proj", f"{part}_proj")] for part in parts]
            fused[name.replace(f"{first}_proj", "qkv_proj" if first == "q" else "gate_up_proj")] = np.concatenate(whole)
        elif not name.endswith(("k_proj.weight", "v_proj.weight", "up_proj.weight")):
            fused[name] = array
    contents = {name: ("BF16", array.shape, array) for name, array in fused.items()}
    write_safetensors(folder / "model.safetensors", contents)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "phi3", "architectures": ["Phi3ForCausalLM"]}
    (folder / "config.json").write_text(json.dumps(config))


def test_a_long_chat_template_is_shown_short_and_written_whole(kaibo: Callable[..., Any], tmp_path: Path) -> None:
    texts = ["{{ messages }}\n" * 200, "{{ messages }}\n" * 150 + "{{ other }}\x07" * 500]
    for name, text in zip("ab", texts, strict=True):
        (tiny_model(tmp_path / name) / "chat_template.jinja").write_text(text)
    (change,) = kaibo("diff", "a", "b", "--json").document["changes"]
    assert change["what"].startswith("chat template: line 151")
    assert change["full"] == texts
    shown = kaibo("diff", "a", "b").out
    assert "chat template: line 151" in shown
    assert shown.count("{{ other }}") < 10
    assert "\x07" not in shown


def drop(shard: Path) -> str:
    """Writes a shard again without its first tensor inside the layers; the canonical name of what is gone."""
    raw = shard.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    header.pop("__metadata__", None)
    gone = next(name for name in header if ".layers." in name)
    kept = {
        name: (
            entry["dtype"],
            entry["shape"],
            raw[8 + size + entry["data_offsets"][0] : 8 + size + entry["data_offsets"][1]],
        )
        for name, entry in header.items()
        if name != gone
    }
    write_safetensors(shard, kept)
    return gone.removeprefix("model.")


def test_a_tuned_model_that_is_not_there_is_reported_and_the_others_go_on(
    kaibo: Callable[..., Any], three: tuple[str, str, str]
) -> None:
    ran = kaibo("diff", "a", "nowhere", "c", "--json")
    assert ran.code == 4
    assert [row["tuned"] for row in ran.document["results"]] == ["c"]
    assert len(ran.lines) == 1


@pytest.mark.parametrize("top", ["0", "101", "many", "nan"])
def test_a_percent_that_is_none_is_a_wrong_call(
    top: str, kaibo: Callable[..., Any], three: tuple[str, str, str]
) -> None:
    assert kaibo("diff", "a", "b", "--top", top).code == 2


def test_a_level_that_is_none_is_a_wrong_call(kaibo: Callable[..., Any], three: tuple[str, str, str]) -> None:
    assert kaibo("diff", "a", "b", "--by", "head").code == 2


def test_nan_is_counted_and_nothing_fails(kaibo: Callable[..., Any], tmp_path: Path) -> None:
    for name, patterns in (("a", [0x7FC0, 0x3F80, 0x7F80, 0]), ("b", [0x3F80, 0x3F81, 0x7F80, 0])):
        write_safetensors(tmp_path / f"{name}.safetensors", {"w": ("BF16", (4,), np.array(patterns, np.uint16))})
    (row,) = kaibo("diff", "a.safetensors", "b.safetensors", "--json").document["results"]
    assert (row["n"], row["nonfinite"], row["l0"]) == (4, 2, 1)
    assert (row["changed"], row["one_ulp"]) == (0.5, 0.5)


def test_the_verb_gives_findings_and_figures(kaibo: Callable[..., Any], three: tuple[str, str, str]) -> None:
    found = api.diff("a", ["b", "c"], "role")
    assert isinstance(found, api.results.Differences)
    assert len(found.pairs) == 1
    assert type(api.figure(found.curve)).__module__.startswith("altair")
    assert type(api.figure(found.depth, language="ja")).__module__.startswith("altair")
    assert "<table>" in found._repr_html_()
    assert kaibo("diff", "a", "b", "--figure", "change.svg", "--table", "change.csv").code == 0


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_dissection_with_a_base_has_the_chapter_of_what_changed(
    language: str, kaibo: Callable[..., Any], three: tuple[str, str, str], tmp_path: Path
) -> None:
    ran = kaibo("dissect", "b", "--base", "a", "--lang", language, "--out", "out", "--json")
    assert ran.code == 0
    (result,) = ran.document["results"]
    assert result["diff"] == kaibo("diff", "a", "b", "--json").document["results"][0]
    page = Path(result["page"]).read_text()
    assert {"en": "What changed", "ja": "何が変わったか"}[language] in page
    assert "figure-diff-map-map" in page
    assert "figure-norm-curve-curve" in page
    assert str(tmp_path) not in page
    document = json.loads(Path(result["json"]).read_text())
    assert set(document["diff"]) == {"model", "layer", "role", "tensor", "curve", "changes", "unmatched"}
    assert "diff" not in kaibo("dissect", "b", "--out", "plain", "--json").document["results"][0]


def test_several_models_are_set_beside_each_other(kaibo: Callable[..., Any], three: tuple[str, str, str]) -> None:
    labels = ("--group", "dataset=D0,seed=1", "--group", "dataset=D1,seed=2")
    document = kaibo("diff", *three, *labels, "--by", "role", "--json").document
    (pair,) = document["pairs"]
    assert pair["counts"]
    assert pair["mae"] > 0
    assert pair["l1"] <= pair["n"] ** 0.5 * pair["l2"]
    assert {row["key"] for row in document["pairs_by"]} == {row["key"] for row in document["conflict"]}
    assert sum(row["n"] for row in document["pairs_by"]) == pair["n"]
    assert [row["place"] for row in document["order"]] == [0, 1]
    assert [row["why"]["ratio"] for row in document["seeds"]] == [
        "no two models of one data set have different seeds"
    ] * 2
    assert kaibo("diff", *three, "--group", "dataset=D0", "--json").code == 2
    assert kaibo("diff", *three, "--draw", "nothing", "--json").code == 2


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_distances_are_drawn_and_shown(
    language: str, kaibo: Callable[..., Any], three: tuple[str, str, str], tmp_path: Path
) -> None:
    ran = kaibo("diff", *three, "--draw", "distances", "--figure", "d.svg", "--lang", language)
    assert ran.code == 0
    said = {"en": "How far the tuned models are from each other", "ja": "調整後のモデルどうしの距離"}[language]
    assert said in (tmp_path / "d.svg").read_text(encoding="utf-8")
    assert {"en": "sign conflict", "ja": "符号の対立"}[language] in ran.out


def test_norms_that_cannot_be_end_with_one(kaibo: Callable[..., Any]) -> None:
    ran = kaibo("norms", "8030261248", "283154.5", "2.7612", "--json")
    assert ran.code == 1
    assert ran.document["results"][0]["holds"] is False
    assert kaibo("norms", "8030261248", "150000", "2.7612").code == 0
    assert kaibo("norms", "0", "1", "1").code == 2


def test_a_page_with_every_figure_and_table_of_what_changed(
    kaibo: Callable[..., Any], three: tuple[str, str, str]
) -> None:
    for language in ("en", "ja"):
        ran = kaibo("diff", *three, "--out", f"out-{language}", "--lang", language)
        assert ran.code == 0, ran.err
        names = {path.name for path in Path(f"out-{language}").iterdir()}
        assert names >= {
            "diff.html",
            "diff.csv",
            "trimmed.csv",
            "pairs.csv",
            "norm-curve-curve.svg",
            "distances-map.png",
        }
        page = Path(f"out-{language}", "diff.html").read_text(encoding="utf-8")
        assert f'lang="{language}"' in page
        assert "norm-curve" in page
    again = kaibo("diff", "b", "c", "--out", "out-en")
    assert again.code == 6
    assert len(again.lines) == 1


@pytest.mark.parametrize("top", [",", "", "a"])
def test_a_list_without_a_percent_is_refused(top: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, tuned = tiny_model(tmp_path / "base"), tiny_model(tmp_path / "tuned", seed=1)
    assert main_loop(["diff", str(base), str(tuned), "--top", top, "--store", str(tmp_path / "store")]) == 2
    assert "is no list of percents" in capsys.readouterr().err


def test_models_of_which_no_tensor_meets_are_said_to_be_compared_nowhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from kaibo.testing.models import encode, write_safetensors

    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        data = {f"{name}.weight": ("F32", (2,), encode("F32", np.array([1.0, 2.0], np.float32)))}
        write_safetensors(tmp_path / name / "model.safetensors", data)
    arguments = ["diff", str(tmp_path / "one"), str(tmp_path / "other"), "--store", str(tmp_path / "store")]
    assert main_loop(arguments) == 0
    assert "nothing was compared" in capsys.readouterr().err
