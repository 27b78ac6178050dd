"""Generation beside transformers' own, sampling, stop texts, and the face that all models share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")
transformers = pytest.importorskip("transformers", reason="the extra torch is not installed")

from kaibo.errors import FormatError, KaiboError, MissingError, PolicyError, UsageError  # noqa: E402
from kaibo.llama import Sampling, Written, generate, open_causal  # noqa: E402
from kaibo.llama.sampling import chances, choose  # noqa: E402

KINDS: dict[str, dict[str, Any]] = {
    "Llama": {"num_key_value_heads": 2},
    "GPT2": {},
    "GPTNeoX": {},
    "Gemma2": {"num_key_value_heads": 2, "head_dim": 8},
    "Qwen3": {"num_key_value_heads": 2, "head_dim": 8},
}


@pytest.mark.parametrize("kind", KINDS)
def test_greedy_text_and_logits_are_those_of_transformers(kind: str, make: Any) -> None:
    folder = make(kind, **KINDS[kind])
    model = open_causal(folder)
    assert model.engine == ("reference" if kind == "Llama" else "transformers")
    assert (model.context, model.vocabulary, model.ends) == (64, 300, frozenset({1}))
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder)
    prompt = model.tokenizer.encode("The quick brown fox")
    ids = torch.tensor([prompt])
    with torch.inference_mode():
        found = model.runs.logits(model.runs.states(ids))
        assert torch.allclose(found, theirs(ids).logits, atol=1e-5)
    expected = theirs.generate(ids, max_new_tokens=12, do_sample=False, pad_token_id=0)[0, len(prompt) :].tolist()
    written = generate(model, prompt, Sampling(max_tokens=12))
    assert list(written.ids) == [token for token in expected if token != 1]
    assert written.ended == ("end" if 1 in expected else "limit")
    assert written.text == model.tokenizer.decode(written.ids)  # decoded at its end, where nobody watches it grow
    assert written.text == generate(model, prompt, Sampling(max_tokens=12), on_text=lambda new: None).text


@pytest.mark.parametrize("kind", ["Llama", "GPTNeoX"])
def test_a_borrowed_model_takes_trees_and_caches_as_the_reference_does(kind: str, make: Any) -> None:
    runs = open_causal(make(kind)).runs
    row, positions = torch.tensor([[5, 9, 3, 7, 8]]), torch.tensor([[0, 1, 2, 2, 3]])
    seen = torch.tensor(
        [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 0, 1, 0], [1, 1, 0, 1, 1]], dtype=torch.bool
    )
    with torch.inference_mode():
        together = runs.states(row, positions=positions, mask=seen[None, None])
        alone = runs.states(torch.tensor([[5, 9, 7, 8]]))
        assert torch.allclose(together[0, 3:], alone[0, 2:], atol=1e-5)
        cache = runs.new_cache()
        runs.states(torch.tensor([[5, 9]]), cache=cache)
        runs.states(torch.tensor([[3]]), cache=cache)
        cache.crop(2)
        cache.expand(2)
        assert cache.length == 2
        ends = runs.states(torch.tensor([[7, 8], [3, 3]]), cache=cache)
        assert torch.allclose(ends[0], alone[0, 2:], atol=1e-5)


@pytest.mark.parametrize(
    ("rope", "parameters", "context"),
    [
        ("yarn:4", {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}, 256),
        ("linear:2", {"rope_type": "linear", "factor": 2.0}, 128),
        ("dynamic:2", {"rope_type": "dynamic", "factor": 2.0}, 128),
        ("base:1e6", {"rope_type": "default", "rope_theta": 1e6}, 2023),
    ],
)
@pytest.mark.parametrize("kind", ["Llama", "GPTNeoX"])
def test_positions_are_scaled_on_both_engines_as_transformers_scales_them(
    kind: str, rope: str, parameters: dict[str, Any], context: int, make: Any
) -> None:
    settings = {} if kind == "Llama" else {"rotary_pct": 1.0}
    folder = make(kind, **settings)
    model = open_causal(folder, rope=rope)
    assert (model.context, model.trained) == (context, 64)
    config = transformers.AutoConfig.from_pretrained(folder)
    config.rope_parameters = {"rope_theta": 10_000.0} | parameters
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, config=config)
    ids = torch.arange(3, 100)[None]
    with torch.inference_mode():
        found = model.runs.logits(model.runs.states(ids))
        assert torch.allclose(found, theirs(ids).logits, atol=2e-5)


def test_a_model_without_rotary_positions_cannot_be_scaled(make: Any) -> None:
    with pytest.raises(UsageError, match="no rotary positions"):
        open_causal(make("GPT2"), rope="yarn:4")


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0.7},
        {"temperature": 1.5, "top_k": 7},
        {"temperature": 1.0, "top_p": 0.6},
        {"temperature": 0.9, "top_k": 20, "top_p": 0.8},
    ],
)
def test_chances_are_those_of_transformers_filters(settings: dict[str, Any]) -> None:
    process = transformers.generation.logits_process
    steps = [process.TemperatureLogitsWarper(settings["temperature"])]
    steps += [process.TopKLogitsWarper(settings["top_k"])] if "top_k" in settings else []
    steps += [process.TopPLogitsWarper(settings["top_p"])] if "top_p" in settings else []
    logits = torch.randn(1, 50, generator=torch.Generator().manual_seed(5)) * 3
    expected = logits.clone()
    for step in steps:
        expected = step(None, expected)
    assert torch.allclose(chances(logits[0], Sampling(**settings)), expected.softmax(-1)[0], atol=1e-6)


def test_draws_follow_the_chances_and_the_seed() -> None:
    logits, sampling = torch.tensor([0.0, 1.0, 2.0]), Sampling(temperature=1.0, seed=3)
    drawn = [choose(logits, sampling, random) for random in [sampling.random()] for _ in range(3000)]
    again = [choose(logits, sampling, random) for random in [sampling.random()] for _ in range(100)]
    assert drawn[:100] == again
    counts = torch.bincount(torch.tensor(drawn), minlength=3)
    expected = logits.softmax(0) * 3000
    assert float(((counts - expected) ** 2 / expected).sum()) < 13.8  # χ² with two degrees, one in a thousand


def test_the_same_seed_writes_the_same_text(make: Any) -> None:
    model = open_causal(make())
    texts = {generate(model, [5, 9], Sampling(max_tokens=10, temperature=1.0, seed=seed)).ids for seed in (1, 1, 2)}
    assert len(texts) == 2


def test_a_prompt_longer_than_the_context_is_refused_with_the_numbers(make: Any) -> None:
    model = open_causal(make())
    with pytest.raises(UsageError, match="70 tokens of prompt and 1 to generate do not fit the context of 64"):
        generate(model, [5] * 70)
    with pytest.raises(UsageError, match="64 tokens of prompt"):
        generate(model, [5] * 64)
    assert len(generate(model, [5] * 60, Sampling(max_tokens=10)).ids) <= 4
    with pytest.raises(UsageError, match="no tokens"):
        generate(model, [])
    with pytest.raises(UsageError, match="token id 300"):
        generate(model, [300])


def test_streamed_text_is_the_text_and_never_shows_a_stop(make: Any) -> None:
    tokenizer = open_causal(make()).tokenizer
    text = "five dozen liquor jugs. 解剖 は 楽しい。 the lazy dog"
    written, pieces = Written(tokenizer, ("lazy dog", "nothing")), []
    for token in tokenizer.encode(text):
        stopped = written.add(token)
        pieces.append(written.ready(last=stopped))
        assert "\ufffd" not in pieces[-1]
        assert "lazy" not in "".join(pieces)
        if stopped:
            break
    assert stopped
    assert "".join(pieces) == written.text == "five dozen liquor jugs. 解剖 は 楽しい。 the "


def test_special_tokens_in_a_users_text_are_text(make: Any) -> None:
    tokenizer = open_causal(make()).tokenizer
    ids = tokenizer.encode("a</s>b")
    assert 1 not in ids
    assert tokenizer.decode(ids) == "a</s>b"
    assert 1 in tokenizer.encode("a</s>b", special=True)


def test_code_that_a_folder_brings_is_never_run(make: Any, tmp_path: Path) -> None:
    import json

    folder = make()
    config = json.loads((folder / "config.json").read_text())
    spell = f"open({str(tmp_path / 'canary')!r}, 'w')\n"
    for name in ("configuration_own.py", "modeling_own.py"):
        (folder / name).write_text(spell)
    codes = {"AutoConfig": "configuration_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.OwnModel"}
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "own", "auto_map": codes}))
    with pytest.raises(PolicyError, match="never run"):
        open_causal(folder)
    (folder / "config.json").write_text(json.dumps(config | {"auto_map": codes}))
    assert open_causal(folder).engine == "reference"
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"model_type": "no-such"}, FormatError, 'its model_type is "no-such"'),
        (
            {"model_type": "bert", "architectures": None},
            FormatError,
            "no causal language model|cannot load it|is missing",
        ),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, MissingError, "pip install gptqmodel"),
        ({"quantization_config": {"quant_method": "awq", "bits": 4}}, MissingError, "pip install gptqmodel"),
        ({"hidden_size": "x"}, FormatError, "cannot load it"),
        ({"num_local_experts": 4, "model_type": "mixtral"}, FormatError, "is missing"),
    ],
)
def test_what_cannot_be_run_is_an_error_with_the_reason(
    change: dict[str, Any], error: type[KaiboError], says: str, make: Any
) -> None:
    import json

    folder = make()
    config = json.loads((folder / "config.json").read_text()) | change
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(error, match=says):
        open_causal(folder)


def test_a_tokenizer_larger_than_the_embedding_is_told_and_its_ids_refused(make: Any) -> None:
    model = open_causal(make(vocab_size=280))
    assert any("tokenizer makes ids up to 299, the embedding has 280 rows" in note for note in model.notes)
    with pytest.raises(UsageError, match="outside the vocabulary of 280"):
        generate(model, [290])
