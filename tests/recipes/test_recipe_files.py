"""Recipe files: what they may say, what they become, and how a slip is answered."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaibo.documents.fields import described, names_of
from kaibo.errors import FormatError, MissingError, UsageError
from kaibo.recipes import Recipe, read_recipes
from kaibo.recipes.settings.expansion import in_order

ONE = 'name = "r"\nkind = "sft"\nbase = "hf:org/base"\ndata = "answers.jsonl"\n'


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_recipe_of_four_lines_is_one_run_with_every_default(tmp_path: Path) -> None:
    (recipe,) = read_recipes(written(tmp_path, ONE))
    assert recipe == Recipe("r", "sft", "hf:org/base", data=recipe.data)
    assert recipe.data.files == ("answers.jsonl",)


def test_every_field_says_what_it_means_and_has_a_default() -> None:
    for field in described(Recipe):
        assert len(field.description) > 4, field
        assert field.default or field.name in ("name", "kind"), field


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("sed = 3", "did you mean seed?"),
        ("[adapter]\nrnk = 3", "did you mean adapter.rank?"),
        ("[trainin]\nepochs = 3", "did you mean training?"),
        ("[training]\nbatch = 0", "at least 1"),
        ("[training]\nbatch = true", "a whole number"),
        ("[training]\noptimiser = 'adamm'", "choose adamw"),
        ("[training]\nepochs = 'three'", "a number"),
        ("[adapter]\nbits = 5", "choose 4, 8"),
        ("[matrix]\nsead = [1]", "did you mean seed?"),
        ("[matrix]\nseed = 1", "is no list"),
        ("adapter = 3", "must be a table"),
        ("[training]\nepochs = 0", "trains for no epoch"),
        ("[[runs]]\nname = 'x'\n[[runs]]\nname = 'x'", "two runs are called x"),
        ("[[runs]]\nname = 'a'\nbase = 'run:b'\n[[runs]]\nname = 'b'\nbase = 'run:a'", "leads back to itself"),
        ("[[runs]]\nname = '../x'", "no name of a run"),
        ("[[runs]]\nname = 'x{sed}'", "nothing that varies"),
        ("[sets.a]\nfiles = 'a.jsonl'\n[[runs]]\ndata = 'b'", "did you mean a?"),
        ("[sets.a]\nfile = 'a.jsonl'", "did you mean sets.a.files?"),
        ("[sets.a]\n[[runs]]\ndata = 'a'", "has no files"),
        ("[sets.a]\nunion = ['a']\n[[runs]]\ndata = 'a'", "holds itself"),
        (f"[matrix]\nseed = {list(range(70))}\n[[runs]]\nmatrix.training.batch = {list(range(1, 70))}", "more than"),
    ],
)
def test_a_slip_in_a_recipe_is_a_usage_error_that_names_it(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_recipes(written(tmp_path, ONE + line))
    assert said in caught.value.line
    assert "recipe.toml" in caught.value.line
    assert caught.value.exit == 2


def test_what_is_no_toml_or_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(FormatError):
        read_recipes(written(tmp_path, "name = "))
    with pytest.raises(MissingError, match="sft_vs_dpo"):
        read_recipes("nosuch")
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    with pytest.raises(FormatError, match="UTF-8"):
        read_recipes(tmp_path / "bytes.toml")


def test_the_shipped_study_becomes_its_runs_with_parents_first() -> None:
    runs = read_recipes("sft_vs_dpo", {"base": "hf:org/base"}, {"D0": "plain.jsonl", "D1": "play.jsonl"})
    names = [run.name for run in runs]
    assert len(set(names)) == len(runs) == (3 + 2 + 2 + 2) * 2 * 2
    by_name = dict(zip(names, runs, strict=True))
    both = by_name["SFT_D2_lr1e-05_seed42"]
    assert both.data.files == ("plain.jsonl", "play.jsonl")
    chosen = by_name["DPO_D1_after_SFT_D2_lr1e-05_seed42"]
    assert (chosen.data.files, chosen.data.rejected) == (("play.jsonl",), ("plain.jsonl",))
    assert chosen.base == "run:SFT_D2_lr1e-05_seed42"
    assert {run.base for run in runs if not run.base.startswith("run:")} == {"hf:org/base"}
    for run in runs:
        assert (run.adapter.method, run.adapter.bits, run.adapter.rank, run.adapter.alpha) == ("qlora", 4, 8, 128)
        assert (run.adapter.dropout, run.adapter.target_modules) == (0.05, ("all-linear",))
        assert (run.training.epochs, run.training.batch, run.training.optimiser) == (3, 2, "adam")
        assert (run.training.schedule, run.dpo.beta) == ("cosine", 0.3)
        assert run.seed in (42, 100)
        assert run.training.learning_rate in (1e-5, 1e-4)
        if run.base.startswith("run:"):
            assert names.index(run.base.removeprefix("run:")) < names.index(run.name)
            parent = by_name[run.base.removeprefix("run:")]
            assert (parent.seed, parent.training.learning_rate) == (run.seed, run.training.learning_rate)


def test_an_override_wins_over_the_recipe_and_its_matrix(tmp_path: Path) -> None:
    recipe = written(tmp_path, ONE + "[matrix]\nseed = [1, 2]\ntraining.batch = [4, 8]\n")
    assert len(read_recipes(recipe)) == 4
    runs = read_recipes(recipe, {"seed": 7, "adapter.rank": 2})
    assert [(run.seed, run.training.batch, run.adapter.rank) for run in runs] == [(7, 4, 2), (7, 8, 2)]
    assert [run.name for run in runs] == ["r-batch=4", "r-batch=8"]


def test_files_beside_the_recipe_are_found_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text("{}\n")
    (recipe,) = read_recipes(written(tmp_path, ONE))
    assert recipe.data.files == (str(tmp_path / "answers.jsonl"),)


@given(st.permutations(range(6)), st.lists(st.integers(0, 5), min_size=6, max_size=6))
def test_any_chains_come_out_parents_first_or_are_refused(order: list[int], parents: list[int]) -> None:
    runs = [Recipe(str(n), "sft", f"run:{parents[n]}" if parents[n] < n else "hf:a/b") for n in order]
    ordered = in_order(runs, "r.toml")
    places = {run.name: place for place, run in enumerate(ordered)}
    assert sorted(places) == [str(n) for n in range(6)]
    assert all(places[run.base.removeprefix("run:")] < places[run.name] for run in runs if run.base.startswith("run:"))


VALUES = st.integers(-2, 9) | st.sampled_from(["", "auto", "{", "{x}", "run:x", "sft", "\0"]) | st.floats() | st.none()


@settings(deadline=None)  # the first call imports
@given(st.dictionaries(st.sampled_from(names_of(Recipe)), VALUES, max_size=4))
def test_no_value_of_a_setting_is_more_than_a_usage_error(overrides: dict[str, object]) -> None:
    with suppress(UsageError):
        assert read_recipes("sft_vs_dpo", {"base": "b", **overrides}, {"D0": "a", "D1": "b"})
