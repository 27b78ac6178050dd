"""The audit of a series: each planted fault is found, and nothing else; trajectories are what numpy says."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from kaibo.chapters.series.audit import path_of
from kaibo.chapters.series.following import needed, series
from kaibo.vocabulary import Finding
from kaibo.vocabulary.series import CheckpointFacts, ConfigChange, Unreadable


def points(count: int = 10, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    sizes = np.linspace(1, 0.2, count)[:, None]
    return np.cumsum(sizes * (random.normal(size=(count, 300)) + 0.3 * random.normal(size=300)), axis=0)


def facts_of(vectors: np.ndarray, steps: list[int | None]) -> list[CheckpointFacts]:
    return [
        CheckpointFacts(
            f"/run/{step}", "main" if step is None else f"step{step}", step, vector.tobytes()[:8].hex(), vector.size,
            float(np.linalg.norm(vector)), 0.02, 0, {"mlp.up": float(vector.std())}, {"w": "BF16"}, {"w": (300,)},
        )
        for vector, step in zip(vectors, steps, strict=True)
    ]  # fmt: skip


def analysed(vectors: np.ndarray, facts: list[CheckpointFacts], **more: object) -> Finding:  # type: ignore[type-arg]
    distances = {pair: float(np.linalg.norm(vectors[pair[1]] - vectors[pair[0]])) for pair in needed(path_of(facts))}
    return series(facts, distances, **more)  # type: ignore[arg-type]


def audited(vectors: np.ndarray, steps: list[int | None], **more: object) -> list[tuple[str, tuple[str, ...]]]:
    (row,) = analysed(vectors, facts_of(vectors, steps), **more).rows
    return [(found.kind, found.checkpoints) for found in row.findings]


STEPS: list[int | None] = [100 * k for k in range(10)]


@pytest.mark.parametrize("seed", range(12))
def test_a_clean_series_gives_nothing(seed: int) -> None:
    assert audited(points(seed=seed), STEPS) == []


def test_main_that_equals_the_last_step_is_as_it_should_be() -> None:
    vectors = points()
    assert audited(np.concatenate([vectors, vectors[-1:]]), [*STEPS, None]) == []


def test_branches_that_serve_the_final_weights_are_named_together() -> None:
    vectors = points()
    vectors[[2, 5]] = vectors[9]
    assert audited(vectors, STEPS) == [("equals-last", ("step200", "step500", "step900"))]
    whole = np.concatenate([vectors, vectors[-1:]])
    assert audited(whole, [*STEPS, None]) == [("equals-last", ("step200", "step500", "step900"))]


def test_the_same_content_under_two_names() -> None:
    vectors = points()
    vectors[4] = vectors[3]
    assert audited(vectors, STEPS) == [("same-content", ("step300", "step400"))]


def test_equal_values_of_other_bytes_are_the_same_content() -> None:
    vectors = points()
    vectors[4] = vectors[3]
    facts = facts_of(vectors, STEPS)
    facts[4] = replace(facts[4], model_id="other", dtypes={"w": "F32"})
    (row,) = analysed(vectors, facts).rows
    kinds = [found.kind for found in row.findings]
    assert kinds == ["same-content", "dtype-change", "dtype-change"]


def test_two_with_one_step_a_step_left_out_and_two_that_changed_places() -> None:
    steps = [*STEPS[:4], 300, *STEPS[5:]]
    assert [kind for kind, _ in audited(points(), steps)] == ["same-step", "missing-step"]
    kept = [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert audited(points()[kept], [STEPS[k] for k in kept]) == [("missing-step", ("step200", "step400"))]
    swapped = points()
    swapped[[4, 5]] = swapped[[5, 4]]
    assert audited(swapped, STEPS) == [("out-of-order", ("step400", "step500"))]


def test_weights_of_another_run_from_some_step_on_are_a_jump_there() -> None:
    vectors = points()
    vectors[6:] += 20 * np.random.default_rng(9).normal(size=300)
    assert audited(vectors, STEPS) == [("jump", ("step500", "step600"))]


def test_one_corrupt_checkpoint_is_a_jump_on_both_sides() -> None:
    vectors = points()
    vectors[5] += 8 * np.random.default_rng(9).normal(size=300)
    assert audited(vectors, STEPS) == [("jump", ("step400", "step500")), ("jump", ("step500", "step600"))]


def test_types_shapes_configs_states_and_damage_have_their_evidence() -> None:
    vectors = points()
    facts = facts_of(vectors, STEPS)
    facts[3] = replace(facts[3], dtypes={"w": "F32"}, saved_step=250)
    facts[9] = replace(facts[9], shapes={"w": (300,), "extra": (2,)}, nonfinite=7)
    change = ConfigChange("step600", "step700", "config: rope_theta", "10000.0", "1000000.0")
    (row,) = analysed(vectors, facts, unreadable=[Unreadable("step950", 950, "the file is cut")], changes=[change]).rows
    found = {(one.kind, one.checkpoints): one.evidence for one in row.findings}
    assert found == {
        ("unreadable", ("step950",)): "the file is cut",
        ("other-step", ("step300",)): "its name says step 300, its trainer_state.json step 250",
        ("dtype-change", ("step200", "step300")): "1 tensors are stored in another type (BF16 to F32): w",
        ("dtype-change", ("step300", "step400")): "1 tensors are stored in another type (F32 to BF16): w",
        ("tensor-change", ("step800", "step900")): "1 tensors in only one of the two, 0 of another shape: extra",
        ("config-change", ("step600", "step700")): "config: rope_theta: 10000.0 before, 1000000.0 after",
        ("nonfinite", ("step900",)): "7 of its values are NaN or infinite",
    }
    assert row.checkpoints[3].flags == ("other-step", "dtype-change")


def test_trajectories_are_what_numpy_says() -> None:
    vectors = points()
    (row,) = analysed(vectors, facts_of(vectors, STEPS)).rows
    steps = np.diff(vectors, axis=0)
    for at, one in enumerate(row.checkpoints):
        assert one.from_start == pytest.approx(np.linalg.norm(vectors[at] - vectors[0]))
        assert one.to_end == pytest.approx(np.linalg.norm(vectors[-1] - vectors[at]))
        if at:
            assert one.step_length == pytest.approx(np.linalg.norm(steps[at - 1]))
        if 0 < at < 9:
            lengths = np.linalg.norm(steps[at - 1]) * np.linalg.norm(steps[at])
            assert one.cosine == pytest.approx(steps[at - 1] @ steps[at] / lengths, abs=1e-9)
    cosines = [one.cosine for one in row.checkpoints]
    powers = [None if cosine is None else np.log2(2 + 2 * cosine) / 2 for cosine in cosines]  # of two equal gaps
    between = [np.mean([power for power in ends if power is not None]) for ends in pairwise(powers)]
    speeds = np.linalg.norm(steps, axis=1) / 100 ** np.array(between)
    assert [one.rate for one in row.checkpoints[1:]] == pytest.approx(speeds / speeds.max())


def test_a_repeated_checkpoint_has_no_step_of_its_own_and_says_so() -> None:
    vectors = points()
    vectors[4] = vectors[3]
    (row,) = analysed(vectors, facts_of(vectors, STEPS)).rows
    again = row.checkpoints[4]
    assert (again.step_length, again.why["step_length"]) == (None, "the same content as step300")
    assert again.from_start == row.checkpoints[3].from_start


def test_two_checkpoints_are_enough_and_one_update_beside_a_far_smaller_one_has_no_cosine() -> None:
    (row,) = analysed(points(2), facts_of(points(2), [0, 1])).rows
    assert row.findings == ()
    vectors = np.array([np.zeros(300), np.full(300, 1e-9), np.full(300, 1.0)])
    (row,) = analysed(vectors, facts_of(vectors, [0, 1, 2])).rows
    assert row.checkpoints[1].cosine is None
    assert "too small" in row.checkpoints[1].why["cosine"]
