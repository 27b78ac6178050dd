"""generate, context and quantise as commands, on tiny real models."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")
transformers = pytest.importorskip("transformers", reason="the extra torch is not installed")

import kaibo  # noqa: E402
from kaibo.chapters.context.by_position import loss_curve  # noqa: E402
from kaibo.cli import main_loop  # noqa: E402
from kaibo.errors import KaiboError  # noqa: E402
from kaibo.llama import Llama, LlamaConfig, initialise, load_llama, open_causal, save_llama, token_losses  # noqa: E402
from kaibo.llama.reading import finds, passkeys, window_nats, windows_of  # noqa: E402

CONFIG = LlamaConfig(300, 64, 64, 2, 4, 2, 16, context=64, bos=0, eos=(1,), tied=True)
WORDS = "the grass is green and the sky is blue, there and back again, here we go with the pass key. 解剖 "


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reference model with a byte-level tokenizer."""
    import tokenizers

    place = tmp_path_factory.mktemp("model")
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator([WORDS * 4], trainer)
    made.save(str(place / "tokenizer.json"))
    save_llama(initialise(Llama(CONFIG), seed=1), place, dtype="bfloat16")
    (place / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>"}))
    return place


def test_generate_streams_the_text_that_its_json_holds(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    asked = [
        "generate",
        str(folder),
        "--prompt",
        "the grass",
        "--max-tokens",
        "12",
        "--temperature",
        "1",
        "--seed",
        "4",
    ]
    assert main_loop(asked) == 0
    shown = capfd.readouterr()
    assert "ended: " in shown.err
    assert main_loop([*asked, "--json"]) == 0
    row = json.loads(capfd.readouterr().out)["results"][0]
    assert row["engine"] == "reference"
    assert row["tokens"] <= 12
    printable = all(one.isprintable() for one in row["text"])
    assert shown.out == row["text"] + "\n" or not printable


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--prompt", "a" * 500], 2, "do not fit the context of 64"),
        (["--chat", "hi"], 2, "has no chat template"),
        (["--prompt", "a", "--chat", "b"], 2, "one of --prompt, --chat and --messages"),
        (["--chat", "a", "--template", "nothing"], 2, "templates: own"),
        (["--prompt", "a", "--temperature", "-1"], 2, "temperature is -1"),
        (["--prompt", "a", "--rope", "ntk:4"], 2, "yarn:8"),
        (["--prompt", "a", "--bits", "3"], 2, "8 or 4 bit"),
        (["--prompt", ""], 2, "no tokens"),
        (["--prompt", "a\udcff"], 2, "not valid Unicode"),
        (["--messages", "absent.json"], 4, "no such file"),
    ],
)
def test_what_cannot_be_generated_is_said_in_one_line(
    arguments: list[str], code: int, says: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main_loop(["generate", str(folder), *arguments]) == code
    said = capfd.readouterr().err
    assert says in said
    assert said.count("\n") == 1


def test_a_template_that_reaches_for_python_is_refused_with_exit_7(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import shutil

    own = shutil.copytree(folder, tmp_path / "own")
    (own / "chat_template.jinja").write_text("{{ messages.__class__.__base__.__subclasses__() }}")
    assert main_loop(["generate", str(own), "--chat", "hi"]) == 7
    assert "reaches for" in capfd.readouterr().err
    (own / "chat_template.jinja").write_text("{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}")
    talk = tmp_path / "talk.json"
    talk.write_text(json.dumps([{"role": "system", "content": "be"}, {"role": "user", "content": "hi"}]))
    asked = ["generate", str(own), "--messages", str(talk), "--max-tokens", "3", "--json"]
    assert main_loop(asked) == 0
    expected = len(open_causal(own).tokenizer.encode("[system] be[user] hi"))
    assert json.loads(capfd.readouterr().out)["results"][0]["prompt_tokens"] == expected
    talk.write_text(json.dumps([{"role": "user"}]))
    assert main_loop(asked) == 3


def test_losses_by_position_are_the_means_of_token_losses(folder: Path) -> None:
    model = open_causal(folder, dtype="float32")
    windows = windows_of(model.tokenizer.encode(WORDS * 30), 96, 4)
    nats = window_nats(model, windows)
    expected = token_losses(load_llama(folder, dtype="float32"), torch.from_numpy(windows)).numpy()
    assert np.allclose(nats, expected, atol=1e-5)
    rows = loss_curve("m", "none", nats, trained=64)
    assert [(row.begin, row.end, row.extrapolated) for row in rows[6:10]] == [
        (48, 56, False), (56, 64, False), (64, 72, True), (72, 80, True),
    ]  # fmt: skip
    assert rows[1].value == pytest.approx(expected[:, 7:15].astype(float).mean())
    assert rows[0].value == pytest.approx(expected[:, :7].astype(float).mean())
    assert all(row.low < row.value < row.high for row in rows)


def test_a_passkey_is_found_where_greedy_decoding_would_write_it(folder: Path) -> None:
    model = open_causal(folder)
    prompts = list(passkeys(model.tokenizer, 400, 4, seed=0))
    assert len(prompts) == 4
    depths = []
    for prompt, answer in prompts:
        key = model.tokenizer.decode(answer).strip()
        text = model.tokenizer.decode(prompt)
        assert len(prompt) + len(answer) == 400
        assert text.count(key) == 2
        assert text.endswith("The pass key is")
        depths.append(text.index(key))
    assert depths == sorted(depths)
    prompt = prompts[0][0][:30]
    written = kaibo.llama.generate(model, prompt, kaibo.llama.Sampling(max_tokens=3)).ids
    assert finds(model, prompt, written)
    assert not finds(model, prompt, [(written[0] + 1) % 300, *written[1:]])


def test_context_is_a_curve_for_every_scaling(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "text.txt"
    text.write_text(WORDS * 40)
    asked = ["context", str(folder), "--text", str(text), "--up-to", "2", "--rope", "none,yarn:2", "--windows", "3"]
    picture = tmp_path / "curve.svg"
    assert main_loop([*asked, "--passkeys", "1", "--json", "--figure", str(picture)]) == 0
    rows = json.loads(capfd.readouterr().out)["results"]
    losses = [row for row in rows if row["what"] == "loss"]
    assert len(losses) == 2 * 16
    assert {row["rope"] for row in losses} == {"none", "yarn:2"}
    assert picture.stat().st_size > 1000
    text.write_text("short")
    assert main_loop(asked) == 2
    assert "two windows of 128 are the least" in capfd.readouterr().err
    text.write_bytes(b"ab\xff")
    assert main_loop(asked) == 3
    assert "at byte 2" in capfd.readouterr().err


@pytest.mark.filterwarnings("ignore")  # bitsandbytes and what it imports
def test_narrower_weights_take_less_memory_and_their_cost_is_measured(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="the extra train is not installed")
    text = tmp_path / "text.txt"
    text.write_text(WORDS * 20)
    rows = {row.width: row for row in kaibo.quantise(folder, text, windows=4)}
    assert rows["f32"].weight_bytes == 4 * CONFIG.parameters
    assert rows["bf16"].weight_bytes == 2 * CONFIG.parameters
    inside = CONFIG.parameters - 300 * 64
    assert rows["int8"].weight_bytes < rows["bf16"].weight_bytes - 0.8 * inside
    assert rows["bf16"].cost == 0
    assert abs(rows["f32"].cost) < 0.01
    for row in rows.values():
        known = row.weight_bytes is not None
        assert known == math.isfinite(row.ppl)
        assert known or row.why["ppl"]
    model = load_llama(folder, dtype="float32")
    windows = windows_of(open_causal(folder).tokenizer.encode(WORDS * 20), 64, 4)
    nats = token_losses(model, torch.from_numpy(windows)).double().mean().item()
    assert rows["f32"].ppl == pytest.approx(math.exp(nats), rel=1e-5)


def test_without_report_nothing_is_quantised(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main_loop(["quantise", str(folder)]) == 2
    assert "--report" in capfd.readouterr().err


def test_a_folder_without_a_tokenizer_says_so(tmp_path: Path) -> None:
    save_llama(initialise(Llama(CONFIG)), tmp_path)
    with pytest.raises(KaiboError, match="has no tokenizer") as refused:
        kaibo.generate(tmp_path, "hi")
    assert refused.value.exit == 4


def test_an_absent_torch_is_an_extra_with_its_install_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    import kaibo.llama as room

    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "kaibo.llama.engines.opening")
    monkeypatch.delitem(sys.modules, "kaibo.llama.loading")
    with pytest.raises(KaiboError, match=r'pip install "kaibo\[torch\]"'):
        _ = room.open_causal
