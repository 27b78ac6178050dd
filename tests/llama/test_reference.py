"""The reference against transformers' LlamaForCausalLM: the same folder, the same ids, the same logits."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")
transformers = pytest.importorskip("transformers", reason="the extra torch is not installed")

from kaibo.llama import load_llama, mean_loss, token_losses  # noqa: E402

SCALINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "linear": {"factor": 4.0},
    "dynamic": {"factor": 2.0},
    "yarn": {"factor": 8.0, "original_max_position_embeddings": 32},
    "llama3": {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32,
    },
}
SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 32,
}
LENGTH = 48  # beyond the trained length, where scalings part
RELATIVE = 1e-5


def peer(folder: Path, kind: str = "Llama", **settings: Any) -> Any:
    """A transformers model with weights of some size, saved as a folder by transformers itself."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**{**SIZES, **settings})
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    model.save_pretrained(folder)
    return model


def apart(ours: Any, theirs: Any) -> float:
    """The greatest difference, relative to the greatest logit."""
    return float((ours - theirs).abs().max() / theirs.abs().max())


def forget_length(theirs: Any) -> None:
    """transformers keeps the angles of the longest text it met; each of its runs here begins afresh."""
    theirs.model.rotary_emb.max_seq_len_cached = theirs.config.max_position_embeddings
    theirs.model.rotary_emb.inv_freq = theirs.model.rotary_emb.original_inv_freq.clone()


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize(("kv_heads", "tied"), list(itertools.product((4, 2, 1), (False, True))))
def test_logits_are_those_of_transformers(scaling: str, kv_heads: int, tied: bool, tmp_path: Path) -> None:
    rope = {"rope_type": scaling, "rope_theta": 10_000.0, **SCALINGS[scaling]}
    theirs = peer(tmp_path, num_key_value_heads=kv_heads, tie_word_embeddings=tied, rope_parameters=rope)
    ours = load_llama(tmp_path)
    ids = torch.randint(0, 64, (2, LENGTH), generator=torch.Generator().manual_seed(1))
    padded = torch.ones_like(ids)
    padded[0, :7] = 0
    with torch.inference_mode():
        assert apart(ours.logits(ours(ids)), theirs(ids).logits) <= RELATIVE
        forget_length(theirs)
        found, expected = ours.logits(ours(ids, mask=padded)), theirs(ids, attention_mask=padded).logits
        assert apart(found[padded.bool()], expected[padded.bool()]) <= RELATIVE
        assert torch.isfinite(found).all()
        forget_length(theirs)
        cached_steps_agree(ours, theirs, ids)


def cached_steps_agree(ours: Any, theirs: Any, ids: Any) -> None:
    """Most of the text at once, the rest a token at a time, then two at once."""
    cache, held = ours.new_cache(2, 8), transformers.DynamicCache()
    ends = [0, 40, 41, 42, 43, 44, 46, 48]
    for begin, end in itertools.pairwise(ends):
        found = ours.logits(ours(ids[:, begin:end], cache=cache))
        assert apart(found, theirs(ids[:, begin:end], past_key_values=held).logits) <= RELATIVE
    assert cache.length == LENGTH


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("Mistral", {"sliding_window": 6, "num_key_value_heads": 2, "head_dim": 12}),
        ("Mistral", {"sliding_window": None, "num_key_value_heads": 2}),
        ("Qwen2", {"num_key_value_heads": 2}),
        (
            "Qwen2",
            {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1, "num_key_value_heads": 2},
        ),
        ("Llama", {"attention_bias": True, "mlp_bias": True}),
    ],
)
def test_a_window_or_a_bias_is_all_that_mistral_and_qwen2_add(
    kind: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    theirs = peer(tmp_path, kind, **settings)
    ours = load_llama(tmp_path)
    ids = torch.randint(0, 64, (2, 24), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert apart(ours.logits(ours(ids)), theirs(ids).logits) <= RELATIVE
        cache, held = ours.new_cache(2), transformers.DynamicCache(config=theirs.config)
        for begin, end in ((0, 4), (4, 20), (20, 21), (21, 24)):
            found = ours.logits(ours(ids[:, begin:end], cache=cache))
            assert apart(found, theirs(ids[:, begin:end], past_key_values=held).logits) <= RELATIVE


def test_a_tree_of_branches_scores_as_each_branch_alone(tmp_path: Path) -> None:
    peer(tmp_path, num_key_value_heads=2)
    ours = load_llama(tmp_path)
    prefix, branches = torch.tensor([[5, 9, 3, 7]]), [torch.tensor([[1, 2, 3]]), torch.tensor([[8, 2]])]
    row = torch.cat([prefix, *branches], 1)
    branch_of = torch.tensor([0] * 4 + [1] * 3 + [2] * 2)
    positions = torch.tensor([[0, 1, 2, 3, 4, 5, 6, 4, 5]])
    order = torch.arange(9)
    seen = (order[None] <= order[:, None]) & ((branch_of[None] == 0) | (branch_of[None] == branch_of[:, None]))
    with torch.inference_mode():
        together = ours(row, positions=positions, mask=seen[None, None])[0]
        for number, branch in enumerate(branches, 1):
            alone = ours(torch.cat([prefix, branch], 1))[0, 4:]
            assert torch.allclose(together[branch_of == number], alone, atol=1e-5)


def test_a_prefix_is_read_once_and_used_again(tmp_path: Path) -> None:
    peer(tmp_path, num_key_value_heads=2)
    ours = load_llama(tmp_path)
    prefix, ends = torch.tensor([[5, 9, 3, 7]]), torch.tensor([[1, 2], [8, 4], [6, 6]])
    with torch.inference_mode():
        cache = ours.new_cache(1, 4)
        ours(prefix, cache=cache)
        first = ours(ends[:1], cache=cache)
        cache.crop(4)
        cache.expand(3)
        found = ours(ends, cache=cache)
        expected = ours(torch.cat([prefix.expand(3, -1), ends], 1))[:, 4:]
    assert torch.allclose(found, expected, atol=1e-5)
    assert torch.allclose(first, expected[:1], atol=1e-5)


def test_losses_and_gradients_are_those_of_whole_logits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kaibo.llama.loss.CHUNK_VALUES", 64 * 16)  # sixteen rows at a time
    theirs = peer(tmp_path, num_key_value_heads=2, tie_word_embeddings=True)
    ours = load_llama(tmp_path)
    ids = torch.randint(0, 64, (3, 30), generator=torch.Generator().manual_seed(1))
    whole = torch.nn.functional.cross_entropy(
        theirs(ids).logits[:, :-1].reshape(-1, 64), ids[:, 1:].reshape(-1), reduction="none"
    )
    assert torch.allclose(token_losses(ours, ids).view(-1), whole, atol=1e-5)
    targets = ids[:, 1:].clone()
    targets[0, :20] = -100  # not counted
    loss = mean_loss(ours, ids[:, :-1], targets)
    loss.backward()
    labels = torch.cat([torch.full((3, 1), -100), targets], 1)
    expected = theirs(input_ids=ids, labels=labels).loss
    expected.backward()
    assert abs(loss.item() - expected.item()) < 1e-5
    gradient = theirs.model.embed_tokens.weight.grad
    assert torch.allclose(ours.embedding.weight.grad, gradient, atol=1e-6)
    queries = theirs.model.layers[1].self_attn.q_proj.weight.grad
    assert torch.allclose(ours.blocks[1].attention.qkv.weight.grad[:32], queries, atol=1e-6)


def test_scoring_a_text_makes_no_tensor_of_length_times_vocabulary(tmp_path: Path) -> None:
    from torch.utils._python_dispatch import TorchDispatchMode

    class Widest(TorchDispatchMode):
        most = 0

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            made = function(*args, **(kwargs or {}))
            for one in made if isinstance(made, tuple | list) else [made]:
                if isinstance(one, torch.Tensor):
                    Widest.most = max(Widest.most, one.numel())
            return made

    peer(tmp_path, vocab_size=20_000, num_key_value_heads=2, max_position_embeddings=512)
    ours = load_llama(tmp_path)
    ids = torch.arange(512).view(2, 256)
    with Widest():
        token_losses(ours, ids)
    assert 0 < Widest.most < 512 * 20_000 / 4
