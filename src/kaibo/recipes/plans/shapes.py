"""What a model is made of and what one training step keeps of it, without its weights: traced on the meta device.

Only `config.json` is read. The model is built without storage, and a forward pass of one and of two layers counts the
bytes that autograd would save; the difference is a layer's.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from kaibo.errors import FormatError, MissingError
from kaibo.models.opening import local_of
from kaibo.recipes.loading import SAFE, hushed
from kaibo.recipes.settings.schema import Adapter

ATTENTION = "kaibo_planned"


@dataclass(frozen=True)
class Shapes:
    """Counts of values: `linear` in layers that are quantised or adapted, `others` elsewhere, `largest` one matrix.

    `adapted` is the sum over adapted layers of inputs + outputs: times the rank it is the adapter's size. `factors`
    sums rows + columns of every matrix, which is what Adafactor keeps.
    """

    parameters: int
    linear: int
    linear_outputs: int
    others: int
    largest: int
    adapted: int
    factors: int
    layers: int
    hidden: int
    inner: int
    vocabulary: int
    context: int | None


@dataclass(frozen=True)
class Kept:
    """Bytes that autograd keeps of a forward pass: `layer` a layer, `outside` for the rest; `hidden` is one state."""

    layer: int
    outside: int
    hidden: int


def config_at(address: str) -> Any:
    """The transformers config of a folder, a lone `config.json`, or a repository of which only small files are fetched.

    Raises FormatError where transformers does not know it.
    """
    from transformers import AutoConfig

    target = local_of(address, weights=False)
    place = Path(target.root) / (target.file or "config.json")
    if not place.is_file():
        raise MissingError("holds no config.json", file=address)
    try:
        return AutoConfig.from_pretrained(place, **SAFE)
    except Exception as problem:
        said = " ".join(str(problem).split())[:200]
        raise FormatError(f"is no config of a causal model that transformers knows ({said})", file=address) from problem


def shapes_of(config: Any, adapter: Adapter) -> Shapes:
    """The shapes of a model, from its config alone."""
    import torch

    with hushed():
        model = _built(config)
    text = config.get_text_config()
    head = model.get_output_embeddings()
    matrices = [one for one in model.modules() if isinstance(one, torch.nn.Linear) and one is not head]
    chosen = [one for name, one in model.named_modules() if one in set(matrices) and _adapted(name, adapter)]
    counts = [parameter.shape for parameter in model.parameters()]
    linear = sum(one.weight.numel() for one in matrices)
    total = sum(math.prod(shape) for shape in counts)
    return Shapes(
        parameters=total,
        linear=linear,
        linear_outputs=sum(one.out_features for one in matrices),
        others=total - linear,
        largest=max((one.weight.numel() for one in matrices), default=0),
        adapted=sum(one.in_features + one.out_features for one in chosen),
        factors=sum(sum(shape) for shape in counts),
        layers=int(text.num_hidden_layers),
        hidden=int(text.hidden_size),
        inner=max((max(one.in_features, one.out_features) for one in matrices), default=int(text.hidden_size)),
        vocabulary=int(text.vocab_size),
        context=getattr(text, "max_position_embeddings", None),
    )


def _adapted(name: str, adapter: Adapter) -> bool:
    modules = adapter.target_modules
    return modules == ("all-linear",) or any(name == one or name.endswith(f".{one}") for one in modules)


def kept(config: Any, adapter: Adapter, batch: int, length: int, types: tuple[str, str]) -> Kept:
    """What autograd keeps of a forward pass over `batch` × `length` tokens.

    `types` are the names of the type of the base's weights and of the trained ones, as products see them.
    """
    text = config.get_text_config()
    with hushed():
        one, two = (_saved(_shallow(config, depth), adapter, (batch, length), types) for depth in (1, 2))
    hidden = batch * length * int(text.hidden_size) * _itemsize(types[0])
    return Kept(two - one, max(0, one - (two - one)), hidden)


def _itemsize(name: str) -> int:
    import torch

    return int(getattr(torch, name).itemsize)


def _shallow(config: Any, depth: int) -> Any:
    """The config with so many layers; the lists that name each layer's kind are cut with it."""
    shallow = copy.deepcopy(config)
    text = shallow.get_text_config()
    text.num_hidden_layers = depth
    if getattr(text, "layer_types", None):
        text.layer_types = list(text.layer_types)[:depth]
    return shallow


def _built(config: Any, attention: str | None = None) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    options = {} if attention is None else {"attn_implementation": attention}
    try:
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(copy.deepcopy(config), trust_remote_code=False, **options)
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        said = " ".join(str(problem).split())[:200]
        where = str(config.name_or_path)
        raise FormatError(f"no causal model can be built of its config ({said})", file=where) from problem


def _saved(config: Any, adapter: Adapter, size: tuple[int, int], types: tuple[str, str]) -> int:
    import torch

    frozen, trained = (getattr(torch, name) for name in types)
    default = _built(config).config._attn_implementation
    model = _built(config, None if default == "eager" else _planned_attention()).to(frozen).train()
    if adapter.method != "full":
        model = _with_adapter(model, adapter, trained)
    weights = {id(parameter) for parameter in model.parameters()}
    own = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
    tensors: list[Any] = []

    def pack(tensor: Any) -> Any:
        if id(tensor) not in weights:
            tensors.append(tensor)
        return tensor

    ids = torch.zeros(size, dtype=torch.long, device="meta")
    mask = torch.zeros((1, 1, size[1], size[1]), dtype=frozen, device="meta")  # ready, so that none is worked out
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = model.get_base_model() if adapter.method != "full" else model
        states = out.base_model(input_ids=ids, attention_mask=mask, use_cache=False)
    found = {tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes() for tensor in tensors}
    del states
    return sum(size for place, size in found.items() if place not in own)


def _with_adapter(model: Any, adapter: Adapter, trained: Any) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model

    modules = list(adapter.target_modules)
    settings = LoraConfig(
        r=adapter.rank,
        lora_dropout=adapter.dropout,
        target_modules=modules[0] if modules == ["all-linear"] else modules,
        task_type="CAUSAL_LM",
    )
    with torch.device("meta"):
        wrapped = get_peft_model(model, settings, low_cpu_mem_usage=True)
    for parameter in wrapped.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(trained)
    return wrapped


@cache
def _planned_attention() -> str:
    """Attention that keeps what fused kernels keep: queries, keys, values, the output and a sum per row."""
    import torch
    from transformers import AttentionInterface

    class Fused(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, query: Any, key: Any, value: Any) -> Any:
            out = torch.empty_like(query)
            ctx.save_for_backward(query, key, value, out, query.new_empty(query.shape[:-1], dtype=torch.float32))
            return out

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:  # pragma: no cover - nothing is trained on meta
            return gradient, gradient, gradient

    def attend(module: Any, query: Any, key: Any, value: Any, mask: Any, **others: Any) -> Any:
        if key.shape[1] != query.shape[1]:  # grouped queries: keys and values are repeated before the kernel
            groups = query.shape[1] // key.shape[1]
            key, value = (one.repeat_interleave(groups, dim=1) for one in (key, value))
        attended: Any = Fused.apply(query, key, value)  # type: ignore[no-untyped-call]
        return attended.transpose(1, 2).contiguous(), None

    AttentionInterface.register(ATTENTION, attend)
    return ATTENTION
