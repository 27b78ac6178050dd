from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import pytest

import kaibo
from kaibo.cli import main_loop
from kaibo.study import declared, run, shipped

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT.parent / "shared" / "reference" / "obs_scaling"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def own_study(
    folder: Path, claims: str = 'id = "a"\nen = "it is one"\nsource = "s"\nreported = 1.0\nof = "one"'
) -> Path:
    folder.mkdir()
    (folder / "study.py").write_text(
        "import kaibo\n"
        "def analyse(rows):\n"
        "    return kaibo.Results(outcomes=(kaibo.Outcome('one', float(len(rows))),))\n"
        "study = kaibo.Study('own', lambda inputs: inputs.models, analyse)\n"
    )
    (folder / "claims.toml").write_text(f"[[claim]]\n{claims}\n")
    (folder / "words.toml").write_text('[en]\ntitle = "<script>alert(1)</script>"\nquestion = "?"\n')
    return folder


def test_a_study_of_ones_own_runs_like_one_that_ships(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = own_study(tmp_path / "own")
    assert main_loop(["study", "run", str(folder), "--models", "x", "--out", "pages", "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["study"] == "own"
    assert {"id", "claim", "reported", "ours", "low", "high", "verdict", "why"} <= result["claims"][0].keys()
    assert result["claims"][0]["verdict"] == "reproduced"
    page = Path("pages/own.html").read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_study_may_lie_in_several_modules_and_its_newest_text_is_what_runs(tmp_path: Path) -> None:
    folder = own_study(tmp_path / "own")
    written = (folder / "study.py").read_text()
    (folder / "study.py").write_text("from .part import SEEN\n" + written.replace("float(len(rows))", "SEEN"))
    for seen in (2.0, 1.5):
        (folder / "part.py").write_text(f"SEEN = {seen}  # {'of a length of its own' * int(seen)}\n")
        (judged,) = run(declared(str(folder)), kaibo.Inputs()).judgements
        assert judged.ours == seen


def test_with_strict_a_claim_that_differs_is_exit_1(tmp_path: Path) -> None:
    folder = own_study(tmp_path / "own")
    assert main_loop(["study", "run", str(folder), "--strict"]) == 1
    assert main_loop(["study", "run", str(folder), "--strict", "--models", "x"]) == 0


@pytest.mark.parametrize(
    ("wrong", "code", "said"),
    [
        (["study", "run", "scalign"], 4, "did you mean scaling?"),
        (["study", "run", "scaling", "--manifest", "nowhere.toml"], 4, "no such file"),
        (["study", "run", "scaling", "--table", "nowhere.csv"], 4, "nowhere.csv"),
    ],
)
def test_wrong_input_is_one_line_and_its_exit_code(
    wrong: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main_loop(wrong) == code
    assert said in capsys.readouterr().err


def test_malformed_folders_say_which_file_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twice = 'id = "a"\nen = "x"\nsource = "s"\nreported = 1.0\nof = "o"\n'
    cases = {
        "claims.toml: a claim lacks 'of'": own_study(tmp_path / "a", 'id = "a"\nen = "x"\nsource = "s"\nreported = 1'),
        'two claims are called "a"': own_study(tmp_path / "b", f"{twice}[[claim]]\n{twice}"),
        "is not TOML": own_study(tmp_path / "c", "id ="),
    }
    for said, folder in cases.items():
        assert main_loop(["study", "run", str(folder)]) == 3
        assert said in capsys.readouterr().err


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_study_has_all_words_in_both_languages_and_imports_only_kaibo(name: str) -> None:
    study = declared(name)
    assert study.words["en"].keys() == study.words["ja"].keys()
    for group in ("titles", "abouts", "sentences"):
        assert study.words["en"].get(group, {}).keys() == study.words["ja"].get(group, {}).keys()
    assert all({"en", "ja"} <= claim.text.keys() for claim in study.claims)
    written = [path.read_text(encoding="utf-8") for path in study.folder.glob("*.py")]
    for node in (node for text in written for node in ast.walk(ast.parse(text))):
        if isinstance(node, ast.ImportFrom):
            assert not (node.module or "").startswith("kaibo"), "a study writes `import kaibo`"
        if isinstance(node, ast.Import):
            assert all(alias.name == "kaibo" or not alias.name.startswith("kaibo") for alias in node.names)


def test_no_claim_is_judged_by_two_studies() -> None:
    texts = [claim.text["en"] for name in shipped() for claim in declared(name).claims]
    assert len(texts) == len(set(texts))


def test_the_reviews_tables_are_judged_by_their_own_rows() -> None:
    ran = run(declared("llama_family"), kaibo.Inputs(small=True))
    verdicts = {one.id: one.verdict for one in ran.judgements}
    assert verdicts["llama70-best"] == verdicts["toxigen"] == verdicts["yarn"] == verdicts["rmsnorm"] == "reproduced"
    assert verdicts["llama34-below-65"] == verdicts["truthfulqa"] == "differs"
    assert verdicts["elyza-gpt35"] == "not measured"
    assert verdicts["gqa"] == "cannot tell"
    said = dict(ran.results.sentences)["beside"]
    assert (said["gpt"], said["gpt_all"], said["palm"], said["palm_all"]) == (5, 7, 5, 7)
    assert verdicts["rope-distance"] == verdicts["gqa-forms"] == verdicts["fewer-parameters"] == "reproduced"
    assert verdicts["gqa-70-only"] == "differs"  # the review's text says 70B only, the table it prints has 34B too
    order = list(ran.results.findings)
    firsts = ["anatomy", "tour", "common-parameters", "gains", "code", "languages", "japanese", "open-models"]
    assert sorted(firsts, key=order.index) == firsts
    anatomy = {Path(row.model).name: row for row in ran.results.findings["anatomy"].rows}
    assert anatomy["LLaMA-7B"].parameters == 6_738_415_616
    assert anatomy["LLaMA-65B"].parameters == 65_285_660_672
    assert anatomy["Llama-2-70B"].parameters == 68_976_648_192
    assert anatomy["Llama-3-8B"].parameters == 8_030_261_248
    assert anatomy["Mistral-7B-v0.1"].parameters == 7_241_732_096
    assert anatomy["Qwen2-7B"].parameters == 7_615_616_512
    assert anatomy["gemma-2-9b"].parameters == 9_241_705_984
    assert anatomy["gpt-neox-20b"].parameters == 20_554_567_680


def test_without_torch_the_tour_is_left_out_and_the_study_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(of: str) -> None:
        raise kaibo.KaiboError("the reference needs torch", next="pip install kaibo[torch]")

    study = declared("llama_family")
    part = sys.modules["kaibo_study_llama_family.tour"]
    monkeypatch.setattr(kaibo, "tour", absent, raising=False)
    walked = part.results(part.measure())
    assert not walked.findings
    assert {outcome.value for outcome in walked.outcomes} == {None}
    ((key, values),) = walked.sentences
    assert "pip install" in study.sentence(key, values, "en")
    assert {outcome.name for outcome in walked.outcomes} <= {claim.of for claim in study.claims}


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference tables are not here")
def test_the_components_of_the_source_are_reproduced_on_its_own_models(tmp_path: Path) -> None:
    names = [line for line in (REFERENCE / "models_77.txt").read_text().splitlines() if line.strip()]
    members = tuple({"name": name.strip()} for name in names)
    table = str(REFERENCE / "base_llm_benchmark_eval.csv")
    ran = run(declared("scaling"), kaibo.Inputs(tables=(table,), members=members, small=True))
    english = {one.id: one.verdict for one in ran.judgements if one.id in ("pc1-base", "pc123-base", "pc1-flops")}
    assert set(english.values()) == {"reproduced"}


def test_published_norms_that_cannot_be_are_recognised_and_the_correlation_is_that_of_the_report() -> None:
    vectors = {one.id: one.verdict for one in run(declared("task_vectors"), kaibo.Inputs()).judgements}
    assert [vectors[f"sft-1e-4-{seed}"] for seed in (42, 100)] == ["reproduced", "reproduced"]
    assert {vectors[f"{method}-1e-5-{seed}"] for method in ("sft", "dpo") for seed in (42, 100)} == {"differs"}
    benford = {one.id: one for one in run(declared("benford"), kaibo.Inputs()).judgements}
    assert (benford["r"].verdict, benford["p"].verdict) == ("reproduced", "reproduced")
    assert (benford["qwen-mae"].verdict, benford["qwen-above"].verdict) == ("reproduced", "reproduced")
    assert {benford[f"{name}-follows"].verdict for name in ("llama", "qwen", "gemma", "mistral", "swallow")} == {
        "differs"
    }
    assert (benford["gemma-mae"].verdict, benford["gemma-mae"].command[:23]) == (
        "not measured",
        "kaibo study run benford",
    )


def children(folder: Path) -> tuple[dict[str, object], ...]:
    """A parent and its SFT children: two data sets, two seeds, two learning rates; at the high one the seed matters."""
    from kaibo.testing import tiny_model

    kinds = {"kind": "sft", "place": "child", "parent": "p", "size": 1, "last": True, "optimiser": "adam"}
    members: list[dict[str, object]] = [{"name": "p", "kind": "pretrain", "address": str(tiny_model(folder / "p"))}]
    for rate in (1e-5, 1e-4):
        for place, (data, seed) in enumerate((data, seed) for data in ("D0", "D1") for seed in (42, 100)):
            address = str(tiny_model(folder / f"{rate}-{data}-{seed}", seed=1 + place))
            own = {"name": address, "address": address, "data": data, "seed": seed, "learning_rate": rate}
            members.append({**kinds, **own})
    return tuple(members)


def test_the_printed_rows_judge_the_seed_and_children_at_another_scale_stand_beside(tmp_path: Path) -> None:
    inputs = kaibo.Inputs(members=children(tmp_path), settings=kaibo.Settings(store=tmp_path / "store"))
    ran = run(declared("task_vectors"), inputs)
    steady = next(one for one in ran.judgements if one.id == "sft-low-steady")
    assert (steady.verdict, steady.scale, steady.ours) == ("reproduced", "published", True)
    assert {"ways", "sizes", "norms", "pairs", "ratios", "kept", "map"} <= ran.results.findings.keys()
    ratios = {
        row.cell: row for row in ran.results.findings["ratios"].rows if (row.role, row.distance_norm) == ("all", "l2")
    }
    pairs = ran.results.findings["pairs"].rows
    by_seed = [row.l2 for row in pairs if (row.cell, row.apart_by) == ("SFT 1e-5", "data")]
    assert ratios["SFT 1e-5"].spread == pytest.approx(abs(by_seed[0] - by_seed[1]) / (sum(by_seed) / 2), rel=1e-12)
    said = dict(ran.results.sentences)
    assert said["spread"]["most"] >= ratios["SFT 1e-5"].spread
    assert (said["steps"]["count"], said["steps"]["finest"]) == (6, "2⁻²⁴")
    for language in ("en", "ja"):
        assert all(ran.declared.sentence(key, values, language) for key, values in ran.results.sentences)
