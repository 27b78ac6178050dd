"""Models of other shapes, run by transformers: local safetensors only, and never any code that a folder brings."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
import transformers

from kaibo.errors import FormatError, KaiboError, MissingError, PolicyError, UsageError, escaped
from kaibo.llama.config.config import Rope, scaled
from kaibo.llama.config.config_json import rope_json
from kaibo.llama.engines.causal import Causal, Kept
from kaibo.llama.engines.quantised import bits_settings, packed_needs
from kaibo.llama.loading import checked_device, dtype_named
from kaibo.models.addresses import Target
from kaibo.vocabulary import Model

_CONTEXTS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")
PROBE = 8


def borrow(
    target: Target, stored: Model, *, dtype: str | None, device: str, rope: str | None, bits: int | None
) -> Causal:
    """A model that transformers loads, behind the face of `Causal`; raises as `open_causal` does."""
    if target.file is not None:
        raise UsageError("is one file; its config says what it is", file=target.address, next="name the folder")
    if not any(file.endswith(".safetensors") for file in stored.files):
        message = (
            f"is {escaped(stored.files[0])}; transformers, which runs models of its shape, is given safetensors only"
        )
        next_step = "kaibo unpack MODEL --out FOLDER --dtype float32 writes it so"
        raise MissingError(message, file=target.address, next=next_step)
    config = _config(target, stored)
    trained = next((_whole(getattr(config, name, None)) for name in _CONTEXTS if hasattr(config, name)), None)
    context = trained if rope is None else _scale(config, rope, trained, target.address)
    model = _load(target, config, dtype, checked_device(device), bits)
    with _their_errors(target, "its shape may be one that this way of packing weights cannot run" if bits else None):
        runs = _Borrowed(model, _splits(model))
    rows = model.get_input_embeddings().weight.shape[0]
    return Causal(
        *(stored.address, stored.name, runs, "transformers", None, int(rows), context, trained, stored.config),
        notes=(f"{stored.address}: run by transformers, as {type(model).__name__}",),
    )


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _config(target: Target, stored: Model) -> Any:
    kind = stored.config.get("model_type")
    if kind not in transformers.CONFIG_MAPPING:
        if "auto_map" in stored.config:
            message = "names code to run (auto_map), and code that a model brings is never run"
            raise PolicyError(message, file=target.path("config.json"))
        named = f'"{escaped(kind, 60)}"' if isinstance(kind, str) else "missing"
        message = f"its model_type is {named}, which transformers {transformers.__version__} does not know"
        raise FormatError(message, file=target.path("config.json"))
    with _their_errors(target):
        config = transformers.AutoConfig.from_pretrained(target.root, local_files_only=True, trust_remote_code=False)
    if type(config) not in transformers.MODEL_FOR_CAUSAL_LM_MAPPING:
        raise FormatError(f'"{escaped(kind, 60)}" is no causal language model', file=target.path("config.json"))
    return config


def _scale(config: Any, rope: str, trained: int | None, file: str) -> int:
    """Scales the positions of a transformers config as `--rope` says; the context it gives."""
    found = getattr(config, "rope_parameters", None)
    if not isinstance(found, Mapping) or "rope_theta" not in found or trained is None:
        raise UsageError("has no rotary positions that could be scaled", file=file)
    heads = getattr(config, "num_attention_heads", None) or 1
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    share = {name: value for name, value in found.items() if name == "partial_rotary_factor"}
    size = int(size * share.get("partial_rotary_factor", 1.0))
    new, context = scaled(Rope(base=float(found["rope_theta"])), trained, size, rope)
    config.rope_parameters = rope_json(new) | share
    return context


def _load(target: Target, config: Any, dtype: str | None, device: torch.device, bits: int | None) -> Any:
    needs = packed_needs(config, target.address)
    settings: dict[str, Any] = {"dtype": "auto" if dtype is None else dtype_named(dtype)}
    if bits is not None:
        settings |= bits_settings(bits, dtype, device, target.address)
    with _their_errors(target, needs):
        model = transformers.AutoModelForCausalLM.from_pretrained(
            target.root,
            config=config,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            attn_implementation=_attention(config),
            output_loading_info=True,
            **settings,
        )
    model, told = model
    absent = sorted(told.get("missing_keys") or ())
    if absent:
        more = f" (and {len(absent) - 1} more)" if len(absent) > 1 else ""
        raise FormatError(f"is missing{more}", file=target.address, tensor=absent[0])
    return (model if bits is not None else model.to(device)).eval()


def _attention(config: Any) -> str:
    """Said outright: a config could otherwise name a kernel to be fetched from the hub."""
    known = transformers.MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    return "sdpa" if getattr(known, "_supports_sdpa", False) else "eager"


@contextmanager
def _their_errors(target: Target, needs: str | None = None) -> Iterator[None]:
    """Whatever transformers raises on a stranger's folder, as an error of the family; its own chatter kept quiet."""
    chatter = logging.getLogger("transformers")
    level, bars = chatter.level, transformers.utils.logging.is_progress_bar_enabled()
    chatter.setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except KaiboError:
        raise
    except ImportError as absent:
        advice = needs or "install what it names"
        said = escaped(" ".join(str(absent).split()), 300)
        raise MissingError(f"transformers cannot load it here ({said})", file=target.address, next=advice) from None
    except Exception as problem:  # noqa: BLE001 - transformers raises what it likes on a malformed folder
        said = escaped(" ".join(str(problem).split()), 300)
        message = f"transformers cannot load it ({type(problem).__name__}: {said})"
        raise FormatError(message, file=target.address, next=needs) from None
    finally:
        chatter.setLevel(level)
        if bars:
            transformers.utils.logging.enable_progress_bar()


@dataclass
class _Held:
    """The cache of transformers with a length that is cheap to ask for."""

    cache: Any

    @property
    def length(self) -> int:
        return int(self.cache.get_seq_length())

    def crop(self, length: int) -> None:
        if not 0 <= length <= self.length:
            raise ValueError(f"{length} of {self.length} tokens cannot be kept")
        if length < self.length:
            self.cache.crop(length - self.length)  # transformers 5 wants how many go

    def expand(self, batch: int) -> None:
        self.cache.batch_repeat_interleave(batch)

    def repeated(self, batch: int, room: int) -> Kept:
        made = _Held(deepcopy(self.cache))
        made.expand(batch)
        return made

    def select(self, rows: torch.Tensor) -> None:
        self.cache.batch_select_indices(rows)


@dataclass(frozen=True)
class _Borrowed:
    """`split` says whether logits are the head's product with the states, and nothing more."""

    model: Any
    split: bool

    def states(
        self,
        ids: torch.Tensor,
        *,
        positions: torch.Tensor | None = None,
        mask: torch.Tensor | None = None,
        cache: Any = None,
    ) -> torch.Tensor:
        given: dict[str, Any] = {"use_cache": cache is not None}
        if cache is not None:
            given["past_key_values"] = cache.cache
        if positions is not None:
            given["position_ids"] = positions
        if mask is not None:
            given["attention_mask"] = _added(mask, self.model.dtype) if mask.dim() == 4 else mask.long()
        if self.split:
            found: torch.Tensor = self.model.base_model(ids, **given).last_hidden_state
            return found
        whole: torch.Tensor = self.model(ids, **given).logits
        return whole

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        if not self.split:
            return states
        found: torch.Tensor = self.model.get_output_embeddings()(states)
        return found

    @property
    def head(self) -> tuple[torch.Tensor, torch.Tensor | None] | None:
        head = self.model.get_output_embeddings() if self.split else None
        return (head.weight, head.bias) if type(head) is torch.nn.Linear else None

    def new_cache(self, batch: int = 1, capacity: int = 256) -> Kept:
        return _Held(transformers.DynamicCache(config=self.model.config))


def _added(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Booleans as what is added to the scores."""
    if mask.dtype != torch.bool:
        return mask.to(dtype)
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, torch.finfo(dtype).min)


@torch.inference_mode()
def _splits(model: Any) -> bool:
    """Whether head(states) are the logits: tried on a few tokens, as caps and multipliers come after some heads.

    Where they are not, states are the logits themselves.
    """
    head, body = model.get_output_embeddings(), model.base_model
    if head is None or body is model:
        return False
    ids = (
        torch.arange(PROBE, device=next(model.parameters()).device)[None] % model.get_input_embeddings().weight.shape[0]
    )
    states = getattr(body(ids, use_cache=False), "last_hidden_state", None)
    if states is None or states.shape[-1] != model.get_input_embeddings().weight.shape[1]:
        return False
    return bool(torch.equal(head(states), model(ids, use_cache=False).logits))
