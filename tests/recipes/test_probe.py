"""Does it still answer: what is counted, and models that are known to answer, to run on, or to say nothing."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipe_models import byte_tokenizer, write_base

from kaibo.errors import FormatError, MissingError, UsageError
from kaibo.recipes.probes.judging import Reply, judged, leaks, repeats
from kaibo.recipes.probes.languages import answers_in, language_of
from kaibo.recipes.probes.probing import Prompt, read_prompts, shipped_prompts

ENGLISH = "The highest mountain in Japan is Mount Fuji, which is a volcano near the city of Tokyo."
GERMAN = "Der höchste Berg Japans heißt Fuji und ist ein Vulkan, der südlich der Hauptstadt liegt."
FRENCH = "La plus haute montagne du Japon est le mont Fuji, un volcan au sud de la capitale du pays."
JAPANESE = "日本で一番高い山は富士山です。標高は3,776メートルあります。"
CHINESE = "日本最高的山是富士山，海拔三千七百七十六米，位于东京附近。"


@pytest.mark.parametrize(
    ("text", "ja", "en"),
    [
        (ENGLISH, False, True),
        (JAPANESE, True, False),
        (GERMAN, False, False),
        (FRENCH, False, False),
        (CHINESE, False, False),
        ("猫はAです。", True, False),
        ("A", True, True),
        ("7", True, True),
        ("富士山", True, False),
        ("It is 7.", False, True),
        ("\ufffd\ufffd", False, False),
        ("!?#%&/()=!?#%&/()=", False, False),
    ],
)
def test_the_language_of_an_answer_is_told_by_script_and_groups_of_letters(text: str, ja: bool, en: bool) -> None:
    assert (answers_in("ja", text), answers_in("en", text)) == (ja, en)


def test_the_prompts_of_the_review_ship_with_its_system_prompt() -> None:
    texts = [prompt.text for prompt in shipped_prompts("ja")]
    assert texts[:2] == [
        "現在のアメリカ大統領は誰ですか?",
        "犬は哺乳類なのでAと表します. ロボットは哺乳類ではないのでBで表します. 猫はA, Bどちらですか?",
    ]
    for prompt in shipped_prompts("ja"):
        assert prompt.messages[0] == {"role": "system", "content": "あなたは誠実で優秀な日本人のアシスタントです。"}
    assert all(language_of(prompt.text) == prompt.asked for prompt in shipped_prompts())
    with pytest.raises(UsageError):
        shipped_prompts("tlh")


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(20, 40))
def test_any_short_phrase_said_over_and_over_is_repetition(phrase: list[int], times: int) -> None:
    assert repeats(phrase * times)
    assert not repeats(range(len(phrase) * times))


@pytest.mark.parametrize("tag", ["<|im_start|>", "[INST]", "<</SYS>>", "</s>", "<start_of_turn>", "### Response:"])
def test_a_tag_of_a_template_in_the_text_is_a_leak(tag: str) -> None:
    def reply(text: str) -> Reply:
        return Reply("q", "en", (), text, text, True)

    assert leaks(reply(f"It is\n{tag} hot"))
    assert not leaks(reply("a < b and [1, 2] and x > 3 # comment"))


def test_shares_and_faults_follow_from_the_replies() -> None:
    fine = Reply("q", "en", (1, 2), ENGLISH, ENGLISH, True)
    silent = Reply("q", "en", (), " ", " ", True)
    endless = Reply("q", "en", (1, 2) * 32, "no no " * 20, "no no " * 20, False)
    (row,) = judged("m", [fine, silent, endless, endless])
    assert (row.n, row.stopped, row.repeated, row.empty, row.leaked) == (4, 0.5, 0.5, 0.25, 0.0)
    assert row.answers == (not row.faults)
    (bad,) = judged("m", [endless])
    assert set(bad.faults) >= {"stopped", "repeated"}
    assert not bad.answers


def test_prompts_come_from_lines_and_from_jsonl(tmp_path: Path) -> None:
    file = tmp_path / "p.txt"
    file.write_text(
        'What?\n\n何ですか?\n{"prompt": "Who?", "language": "ja"}\n{"messages": [{"role": "user", "content": "x"}]}\n'
    )
    assert [(one.text, one.asked) for one in read_prompts(str(file))] == [
        ("What?", "en"),
        ("何ですか?", "ja"),
        ("Who?", "ja"),
        ("x", "en"),
    ]
    assert {one.asked for one in read_prompts(str(file), "en")} == {"en"}
    for text in ("", "{", '{"prompt": 3}', '{"messages": []}', '{"prompt": "q", "language": "tlh"}'):
        file.write_text(text)
        with pytest.raises(FormatError):
            read_prompts(str(file))
    with pytest.raises(MissingError):
        read_prompts(str(tmp_path / "nowhere"))


def constant_model(folder: Path, token: str) -> Path:
    """A model that says one token for ever: its head gives that token the largest score whatever it read."""
    import torch
    from transformers import LlamaForCausalLM

    write_base(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
        place = byte_tokenizer().get_vocab()[token]
        with torch.no_grad():
            model.lm_head.weight.zero_()
            norm = model.model.norm.weight
            norm.zero_()
            norm[0] = 1.0
            for parameter in (model.model.embed_tokens.weight,):
                parameter[:, 0] = 100.0
            model.lm_head.weight[place, 0] = 1.0
        model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("token", "faults"), [("a", {"stopped", "repeated"}), ("<|end|>", {"language", "empty"}), ("<|user|>", {"leaked"})]
)
def test_models_that_run_on_say_nothing_or_leak_are_found(tmp_path: Path, token: str, faults: set[str]) -> None:
    from kaibo.recipes.probes.probing import probe

    model = constant_model(tmp_path / "m", token)
    prompts = [Prompt(({"role": "user", "content": "What?"},), "en")] * 3
    (row,), replies = probe(str(model), prompts, max_tokens=24)
    assert faults <= set(row.faults)
    assert len(replies) == 3


def test_the_command_prints_the_names_of_the_design_and_exits_1(tmp_path: Path, capsys: Any) -> None:
    from kaibo.cli import main_loop

    model = constant_model(tmp_path / "m", "a")
    code = main_loop(["probe", str(model), "--lang", "ja", "--max-tokens", "8", "--json"])
    document = json.loads(capsys.readouterr().out)
    (row,) = document["results"]
    assert code == 1
    assert {"model", "language", "stopped", "repeated", "leaked", "empty", "n"} <= set(row)
    assert (row["asked"], row["n"], row["stopped"]) == ("ja", 8, 0.0)
    assert document["errors"] == []
    assert "8 questions" in document["warnings"][0]
    assert "it says" in document["warnings"][1]
