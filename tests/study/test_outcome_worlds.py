"""Every outcome that answers a claim, in a world where it must hold and in one where it must not."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kaibo
from kaibo.study import declared, shipped
from kaibo.vocabulary.scores import ScoreTable


def part(study: str, name: str) -> Any:
    """A module of a study."""
    declared(study)
    return sys.modules[f"kaibo_study_{study}.{name}"]


@pytest.mark.parametrize("name", shipped())
def test_every_claim_carries_a_sentence_of_its_source(name: str) -> None:
    assert [claim.id for claim in declared(name).claims if not claim.sentence] == []


def test_what_the_source_does_not_count_is_no_claim() -> None:
    for claim in declared("llama_family").claims:
        assert not any(words in claim.text["en"] for words in ("6 of 8", "5 of 7", "BoolQ and WinoGrande"))


# --- printed norms


def test_stability_holds_where_seeds_agree_and_fails_where_they_do_not() -> None:
    published = part("task_vectors", "published")
    rng = np.random.default_rng(0)
    for spread, steady in ((0.02, True), (0.6, False)):
        rows = {
            f"{cell}-{seed}": (1000.0 * (1 + spread * side), 2.0 * (1 + spread * side * rng.uniform(0.9, 1)))
            for cell in published.CELLS
            for seed, side in ((42, -0.5), (100, 0.5))
        }
        said = {one.name: one.value for one in published.stability(rows)}
        assert said == {"sft-high-moves": not steady, "sft-low-steady": steady, "dpo-low-steady": steady}


def test_norms_of_a_vector_are_possible_and_norms_of_half_precision_are_not() -> None:
    published = part("task_vectors", "published")
    values = np.random.default_rng(1).normal(0, 1e-5, 100_000).astype(np.float32)
    right = float(np.abs(values).sum()), float(np.sqrt((values.astype(np.float64) ** 2).sum()))
    half = float(np.sqrt((values.astype(np.float16) ** 2).astype(np.float64).sum()))
    rows = kaibo.norms([(values.size, *right), (values.size, right[0], half)]).rows
    assert [row.possible for row in rows] == [True, False]
    assert len(published.outcomes(published.judged().rows)) == 9


# --- first digits


def test_digits_above_the_law_and_the_mae_are_those_of_the_shares() -> None:
    study = part("benford", "study")
    assert study.above(study.PRINTED) == {1, 2, 8, 9}
    turned = tuple(reversed(study.PRINTED))
    assert study.above(turned) != {1, 2, 8, 9}
    near = {one.name: one.value for one in study.of_printed(dict.fromkeys(study.NAMES, 0.010))}
    far = {one.name: one.value for one in study.of_printed(dict.fromkeys(study.NAMES, 0.018))}
    assert near["llama.follows"] is True
    assert far["llama.follows"] is False
    assert far["qwen.mae"] == pytest.approx(0.0182, abs=5e-5)


# --- the review's tables


def test_fewer_parameters_fails_where_small_models_are_worse() -> None:
    """It once asked whether the median of multiples above one is above one, and could not fail."""
    tables, scores = part("llama_family", "tables"), part("llama_family", "scores").scores_of("llama-zero-shot")
    assert tables.fewer(scores)
    worse = {name: {k: v - 15 * name.startswith("LLaMA") for k, v in row.items()} for name, row in scores.items()}
    assert not tables.fewer(worse)
    only_large = {name: row for name, row in scores.items() if name not in ("LLaMA 7B", "LLaMA 13B", "LLaMA 33B")}
    assert not tables.fewer({name.replace("65B", "150B"): row for name, row in only_large.items()})


def swapped(scores: Any, one: str, other: str) -> Any:
    """Two rows exchanged."""
    return scores | {one: scores[other], other: scores[one]}


OPEN = [
    ("llama70-best", True, ("open-models", "Llama 2 70B", "Falcon 40B")),
    ("llama34-but-code", True, ("open-models", "Llama 2 34B", "MPT 30B")),
    ("llama34-below-65", False, ("open-models", "Llama 2 34B", "MPT 7B")),
    ("llama2-gpt35", True, ("closed-models", "Llama 2", "GPT-4")),
    ("toxigen", True, ("llama-safety", "Llama 2-Chat 7B", "MPT-instruct 7B")),
    ("truthfulqa", False, ("llama-safety", "Llama 2-Chat 34B", "ChatGPT")),
]


@pytest.mark.parametrize(("name", "printed", "change"), OPEN)
def test_a_sentence_about_a_table_turns_when_two_rows_are_exchanged(
    name: str, printed: bool, change: tuple[str, str, str]
) -> None:
    tables, read = part("llama_family", "tables"), part("llama_family", "scores").scores_of
    every = {table: read(table) for table in tables.NAMES}
    table, one, other = change
    said = {outcome.name: outcome.value for outcome in tables.of_scores(every)}
    turned = {o.name: o.value for o in tables.of_scores(every | {table: swapped(every[table], one, other)})}
    assert said[name] is printed
    assert turned[name] is not printed


# --- configs and formulas


LLAMA: dict[str, Any] = {"max_position_embeddings": 4096, "hidden_size": 4096, "num_attention_heads": 32}


def test_one_sequence_holds_for_a_decoder_and_not_for_two_stacks() -> None:
    counted = part("llama_family", "counted")
    assert counted.one_sequence(LLAMA)
    assert not counted.one_sequence({"is_encoder_decoder": True, "max_position_embeddings": 1024})
    two = {"is_encoder_decoder": True, "max_source_positions": 1500, "max_target_positions": 448}
    assert not counted.one_sequence(two)


def test_the_reach_of_scaled_positions_is_the_context_times_the_factor_and_no_more() -> None:
    counted = part("llama_family", "counted")
    assert counted.reach(LLAMA, 32) == 131072
    assert counted.reach(LLAMA, 16) == 65536
    assert counted.reach(LLAMA | {"max_position_embeddings": 2048}, 32) == 65536


def test_rmsnorm_takes_fewer_operations_than_a_norm_that_also_takes_the_mean_away() -> None:
    counted = part("llama_family", "counted")
    rms, layer = (counted.operations(norm, 64) for norm in (counted.rms_norm, counted.layer_norm))
    assert rms < layer
    assert rms == 64 + 63 + 1 + 3 + 128  # squares, their sum, its mean, the inverse root, two products each
    counter = counted.Counter()
    x = [counted.Counted(float(v), counter) for v in (1, -2, 3, 0.5)]
    one = counted.Counted(1.0, counter)
    values = np.array([v.value for v in x])
    ours = [v.value for v in counted.rms_norm(x, [one] * 4)]
    np.testing.assert_allclose(ours, values / np.sqrt((values**2).mean() + 1e-5))


def test_outcomes_of_the_config_are_those_of_the_file(tmp_path: Path) -> None:
    counted = part("llama_family", "counted")
    (tmp_path / "config.json").write_text(json.dumps(LLAMA | {"hidden_size": 64, "num_attention_heads": 4}))
    found = {one.name: one for one in counted.outcomes(tmp_path)}
    assert (found["context-shared"].value, found["rmsnorm"].value) == (True, True)
    assert (found["gqa"].value, found["gqa"].n) == (None, 2)  # measured, and cannot tell


# --- components


NAMES = ("MMLU", "ARC-C", "HellaSwag", "Winograd", "TruthfulQA", "GSM8K", "XWinograd", "HumanEval")


def abilities(seed: int, second: tuple[str, ...], third: str, models: int = 77) -> ScoreTable:
    """A table of 77 models with a general ability, one of some columns, one of a single column, and noise."""
    rng = np.random.default_rng(seed)
    loads = np.zeros((3, len(NAMES)))
    loads[0] = 0.10
    loads[1, [NAMES.index(name) for name in second]] = (0.12, 0.06)
    loads[2, NAMES.index(third)] = 0.06
    values = 0.5 + rng.normal(size=(models, 3)) @ loads + 0.01 * rng.normal(size=(models, len(NAMES)))
    families = tuple(f"f{k % 21}" for k in range(models))
    return ScoreTable("t", tuple(f"m{k}" for k in range(models)), NAMES, values, ("fraction",) * 8, families)


def said_of(table: ScoreTable) -> dict[str, Any]:
    from kaibo.face.options import ComponentSettings
    from kaibo.study import Inputs

    parts = part("scaling", "components")
    finding = components_of(table, ComponentSettings(draws=50, permutations=50))
    assert isinstance(Inputs(), Inputs)
    return {one.name: one for one in parts.outcomes_of(parts.ENGLISH, finding.rows[0])}


def components_of(table: ScoreTable, settings: Any) -> Any:
    module = next(name for name in sys.modules if name.startswith("kaibo") and name.endswith(".components")
                  and hasattr(sys.modules[name], "usable"))  # fmt: skip
    compute: Callable[..., Any] = sys.modules[module].components
    return compute(table, settings)


def test_what_a_component_is_called_holds_in_worlds_that_have_it_and_fails_in_worlds_that_do_not() -> None:
    kaibo.pca("open-models", settings=kaibo.options.ComponentSettings(draws=50, permutations=50))
    right, wrong = [], []
    for seed in range(10):
        holds = said_of(abilities(seed, ("GSM8K", "HumanEval"), "HumanEval"))
        fails = said_of(abilities(seed, ("TruthfulQA", "Winograd"), "ARC-C"))
        right.append([holds[f"english.{name}"].value for name in ("pc1_one_sign", "pc2_reasoning", "pc3_programming")])
        wrong.append([fails[f"english.{name}"].value for name in ("pc2_reasoning", "pc3_programming")])
    assert np.mean(right, axis=0).min() >= 0.9
    assert np.mean(wrong, axis=0).max() <= 0.1


def test_a_table_like_the_sources_is_not_its_own() -> None:
    outcomes = said_of(abilities(0, ("GSM8K", "HumanEval"), "HumanEval"))
    assert {one.own for one in outcomes.values()} == {False}
