"""The same answers under right and wrong prompt formats, beside transformers, on a tiny real model."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")
transformers = pytest.importorskip("transformers", reason="the extra torch is not installed")

import kaibo  # noqa: E402
from kaibo.errors import FormatError, MissingError, UsageError  # noqa: E402
from kaibo.llama import Llama, LlamaConfig, initialise, open_causal, save_llama  # noqa: E402
from kaibo.llama.chat import Message, own_template, own_templates  # noqa: E402
from kaibo.study import declared  # noqa: E402

TEMPLATE = "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
TALKS = [("how many legs?", "it has two legs."), ("what is blue?", "the sky"), ("犬は？", "犬は動物です。")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reference model with a byte-level tokenizer and a chat template."""
    import tokenizers

    place = tmp_path_factory.mktemp("chat")
    raw = tokenizers.Tokenizer(tokenizers.models.BPE())
    raw.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = tokenizers.decoders.ByteLevel()
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=280, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator([" ".join(text for talk in TALKS for text in talk)], trainer)
    raw.save(str(place / "tokenizer.json"))
    config = LlamaConfig(280, 32, 48, 2, 4, 2, 8, context=512, bos=0, eos=(1,), tied=True)
    save_llama(initialise(Llama(config), seed=1), place, dtype="float32")
    (place / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>"}))
    (place / "chat_template.jinja").write_text(TEMPLATE)
    return place


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Chats as JSON lines."""
    place = tmp_path / "chats.jsonl"
    talks = [[{"role": "user", "content": asked}, {"role": "assistant", "content": said}] for asked, said in TALKS]
    place.write_text("".join(json.dumps({"messages": talk}) + "\n" for talk in talks))
    return place


def expected(folder: Path, prompts: list[str], *, begin: bool) -> float:
    """Mean nats of the answers' tokens by transformers, prompt and answer tokenised apart."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    raw = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    nats = []
    for prompt, (_, answer) in zip(prompts, TALKS, strict=True):
        before = ([0] if begin else []) + raw.encode(prompt, add_special_tokens=False)
        after = raw.encode(answer, add_special_tokens=False)
        with torch.no_grad():
            logits = model(torch.tensor([before + after])).logits[0].double()
        told = logits.log_softmax(-1)[len(before) - 1 : -1]
        nats += [-told[place, one].item() for place, one in enumerate(after)]
    return float(np.mean(nats))


def test_every_format_gives_the_nats_that_transformers_gives(folder: Path, file: Path) -> None:
    found = kaibo.questions.prompt_formats(folder, kaibo.questions.chats(file))
    rows = {row.format: row for row in found}
    assert list(rows) == ["own", "llama-2", "alpaca", "plain", "none"]
    assert len({row.tokens for row in rows.values()}) == 1
    prompts = {
        "own": ([f"<user>{asked}<assistant>" for asked, _ in TALKS], True),
        "llama-2": ([f"[INST] {asked} [/INST]" for asked, _ in TALKS], True),
        "alpaca": ([f"### Instruction:\n{asked}\n\n### Response:\n" for asked, _ in TALKS], False),
        "plain": ([f"{asked}\n" for asked, _ in TALKS], False),
        "none": (["" for _ in TALKS], True),
    }
    means = {name: expected(folder, texts, begin=begin) for name, (texts, begin) in prompts.items()}
    for name, mean in means.items():
        assert np.log(rows[name].ppl) == pytest.approx(mean, abs=2e-5)
        if name != "own":
            assert rows[name].cost == pytest.approx(mean - means["own"], abs=4e-5)


def test_several_conversations_in_one_process_are_what_each_is_alone(folder: Path) -> None:
    tags = open_causal(folder).tokenizer.tags
    talks = [[Message("user", asked)] for asked, _ in TALKS]
    together = own_templates(TEMPLATE, talks, tags, "t")
    assert together == [own_template(TEMPLATE, talk, tags, "t") for talk in talks]
    assert own_templates(TEMPLATE, [], tags, "t") == []


def test_a_model_without_a_template_has_no_right_format_and_long_chats_are_left_out_of_all(
    folder: Path, file: Path, tmp_path: Path
) -> None:
    bare = Path(shutil.copytree(folder, tmp_path / "bare"))
    (bare / "chat_template.jinja").unlink()
    long = kaibo.questions.Chat((("user", "x " * 800),), "y")
    found = kaibo.questions.prompt_formats(bare, [*kaibo.questions.chats(file), long])
    assert {row.format for row in found} == {"llama-2", "alpaca", "plain", "none"}
    assert {(row.chats, row.cost) for row in found} == {(3, None)}
    assert any("has no chat template" in note for note in found.notes)
    assert any(note.startswith("1 chats do not fit") for note in found.notes)
    with pytest.raises(UsageError, match="no chat fits its context"):
        kaibo.questions.prompt_formats(bare, [long])
    with pytest.raises(UsageError, match="formats of its list"):
        kaibo.questions.prompt_formats(bare, kaibo.questions.chats(file), wanted=("chatml",))


@pytest.mark.parametrize("line", ["{", "[]", '{"messages": 3}', '{"messages": [{"role": "user", "content": "a"}]}'])
def test_a_line_that_is_no_chat_is_named(line: str, file: Path) -> None:
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(FormatError, match="line 4"):
        kaibo.questions.chats(file)
    assert len(kaibo.questions.chats(file, first=1, most=2)) == 2
    with pytest.raises(MissingError):
        kaibo.questions.chats(file.parent / "absent.jsonl")


def test_the_study_asks_a_given_model_and_hears_what_it_says_to_the_reviews_prompts(folder: Path, file: Path) -> None:
    declared("llama_family")
    part = sys.modules["kaibo_study_llama_family.prompts"]
    inputs = kaibo.Inputs(models=(str(folder),), texts=(str(file),))
    found = part.results(part.measure(inputs))
    assert list(found.findings) == ["formats", "generated"]
    assert [row.prompt for row in found.findings["generated"].rows] == list(part.TRIED)
    (english,) = found.outcomes
    assert english.value is None
    assert [key for key, _ in found.sentences] == ["formats"]
    llama = (part.Said("meta-llama/Llama-2-7b-chat-hf", "p", "The president is", "end"),)
    assert part.in_english(llama).value is True
    assert part.in_english((*llama, part.Said("Llama-2-7B-Chat", "p", "大統領は", "end"))).value is False


def test_a_nursery_is_asked_what_it_held_out_and_without_one_the_study_says_why(folder: Path, tmp_path: Path) -> None:
    declared("llama_family")
    part = sys.modules["kaibo_study_llama_family.prompts"]
    part_of = {"kind": "sft", "place": "child", "data": "plain", "learning_rate": 1e-4, "seed": 42}
    member = {**part_of, "path": "child/merged", "address": str(tmp_path / "child" / "merged")}
    data = tmp_path / "data" / "plain.jsonl"
    data.parent.mkdir()
    line = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
    data.write_text("".join(json.dumps(line) + "\n" for _ in range(410)))
    low = {**member, "learning_rate": 1e-5, "address": "low", "path": "low"}
    inputs = kaibo.Inputs(members=(low, member), small=True)
    assert part.asked_models(inputs) == [member["address"]]
    assert len(part.asked_chats(inputs)) == 10
    found = part.results(part.measure(kaibo.Inputs()))
    assert not found.findings
    assert [key for key, _ in found.sentences] == ["no-prompts"]
