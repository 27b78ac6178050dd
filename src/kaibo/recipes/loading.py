"""The base of a run: tokenizer and weights from a folder, in the precision or the bits that the recipe asks for.

Nothing here goes to a network or runs code from a folder: the files are local, `trust_remote_code` is False, and
only safetensors are read.
"""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaibo.documents.json_text import json_value
from kaibo.documents.reading import JSON_LIMIT, read_bytes
from kaibo.errors import FormatError, KaiboError, MissingError, PolicyError, UsageError, missing_extra
from kaibo.models.opening import local_of
from kaibo.recipes.settings.schema import Adapter, Recipe

if TYPE_CHECKING:
    import torch

SAFE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
QUIET = ("transformers", "trl", "peft", "datasets", "accelerate", "bitsandbytes", "torch", "httpx")


TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")


@dataclass(frozen=True)
class Precision:
    """Where a run computes and in what: `weights` in storage, `autocast` in products."""

    device: str
    weights: torch.dtype
    autocast: torch.dtype | None


def require_training() -> None:
    """Raises MissingError with the line that installs them where the packages of training are not here."""
    from importlib.util import find_spec

    if any(find_spec(name) is None for name in ("torch", "transformers", "trl", "peft", "datasets")):
        raise missing_extra("train", "recipes")


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """The training libraries say nothing to the terminal inside the block: no bars, no advice, no progress."""
    loggers = [logging.getLogger(name) for name in QUIET]
    levels = [logger.level for logger in loggers]
    before = {name: os.environ.get(name) for name in ("TQDM_DISABLE", "TOKENIZERS_PARALLELISM")}
    os.environ.update({"TQDM_DISABLE": "1", "TOKENIZERS_PARALLELISM": "false"})
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _no_bars()
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


def _no_bars() -> None:
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()


def base_folder(address: str) -> Path:
    """The folder that an address leads to, its weights fetched if they are on the hub.

    Raises what opening raises; FormatError for what no recipe can start from.
    """
    target = local_of(address)
    folder = Path(target.root)
    if target.file is not None or not (folder / "config.json").is_file():
        raise FormatError("is no folder with config.json and safetensors", file=address, next="name the model's folder")
    if not any(folder.glob("*.safetensors")):
        pickles = any(folder.glob("*.bin")) or any(folder.glob("*.pt"))
        problem = PolicyError if pickles else MissingError
        raise problem("holds no safetensors", file=address, next="convert its weights to safetensors first")
    if "auto_map" in config_of(folder):
        warnings.warn(f"{address}: the code that comes with the model is not run", stacklevel=2)
    return folder


def config_of(folder: Path) -> dict[str, Any]:
    """A folder's `config.json`."""
    path = folder / "config.json"
    found = json_value(read_bytes(path, JSON_LIMIT), path, [])
    if not isinstance(found, dict):
        raise FormatError("is no object", file=path)
    return found


def device_of(asked: str) -> str:
    """The device that is used. Raises UsageError for one that is not here."""
    import torch

    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if asked == "auto":
        return next(name for name, there in here.items() if there)
    if not here[asked]:
        raise UsageError(f"there is no {asked} device here", next='set device = "auto" or "cpu"')
    return asked


def precision_of(recipe: Recipe) -> Precision:
    """Device and types of a run.

    Adapters are trained in float32 on a frozen base in the run's precision; full training in 16 bit keeps float32
    weights and computes its products in 16 bit, since steps of 1e-5 would be lost in the weights' rounding.
    """
    import torch

    device = device_of(recipe.device)
    name = recipe.precision if recipe.precision != "auto" else ("float32" if device == "cpu" else "bfloat16")
    if name == "float16" and device != "cuda":
        raise UsageError("float16 trains on cuda only", next='set precision = "bfloat16" or "float32"')
    low = None if name == "float32" else getattr(torch, name)
    weights = torch.float32 if low is None or recipe.adapter.method == "full" else low
    return Precision(device, weights, low)


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder, padding on the right, with the end of text standing in for a missing pad token."""
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in TOKENIZERS):  # some classes would make an empty one of nothing
        raise MissingError("holds no tokenizer", file=folder, next=f"looked for {', '.join(TOKENIZERS)}")
    with _reading(folder):
        tokenizer = AutoTokenizer.from_pretrained(folder, **SAFE)
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise FormatError("its tokenizer has neither a pad nor an end token", file=folder)
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    return tokenizer


def load_base(folder: Path, precision: Precision, adapter: Adapter | None = None) -> Any:
    """The causal model of a folder on its device; with a qlora `adapter` its linear layers in 4 or 8 bit.

    Raises FormatError where transformers cannot build it, or where tensors are missing or of another shape.
    """
    from transformers import AutoModelForCausalLM

    quantised = adapter is not None and adapter.method == "qlora"
    options: dict[str, Any] = {"dtype": precision.weights, "use_safetensors": True, **SAFE}
    if quantised and adapter is not None:
        options |= {"quantization_config": quantisation(adapter, precision), "device_map": {"": precision.device}}
    with _reading(folder):
        model, told = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True, **options)
    _complete(told, folder)
    if quantised:
        _keep_unpacked(model)
        return model
    return model.to(precision.device)


def quantisation(adapter: Adapter, precision: Precision) -> Any:
    """The recipe's settings as bitsandbytes takes them."""
    import torch
    from transformers import BitsAndBytesConfig

    if adapter.bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    compute = precision.weights if adapter.compute == "auto" else getattr(torch, adapter.compute)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=adapter.type,
        bnb_4bit_use_double_quant=adapter.double_quantisation,
        bnb_4bit_compute_dtype=compute,
    )


def _keep_unpacked(model: Any) -> None:
    """On CPUs with AVX512_BF16 a forward pass in eval mode would repack 4-bit weights in place and compute in bf16."""
    from bitsandbytes.nn import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def _complete(told: Any, folder: Path) -> None:
    missing = sorted(told.get("missing_keys", ()))
    wrong = sorted(str(one[0] if isinstance(one, tuple) else one) for one in told.get("mismatched_keys", ()))
    if missing or wrong:
        what = "is missing" if missing else "has another shape than config.json says"
        raise FormatError(what, file=folder, tensor=(missing or wrong)[0], next="is the folder complete?")


@contextlib.contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """What transformers raises on a folder that it cannot read, as an error of ours."""
    try:
        yield
    except KaiboError:
        raise
    except ImportError as problem:
        raise missing_extra("train", "recipes") from problem
    except MemoryError:
        raise
    except Exception as problem:
        said = " ".join(str(problem).split())[:300]
        raise FormatError(f"cannot be loaded ({type(problem).__name__}: {said})", file=folder) from problem
