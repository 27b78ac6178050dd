"""An adapter and its base as one model. The base is always reloaded in float32 or bfloat16, never merged in 4 bit:
a quantised base rounds the sum again, and bitsandbytes may have repacked its weights in place.
"""

from __future__ import annotations

import gc
import shutil
from pathlib import Path
from typing import Any

from kaibo.recipes.loading import config_of, load_tokenizer
from kaibo.recipes.runs.account import storing


def merge_dtype(asked: str, base: Path) -> str:
    """The type that merged weights are stored in: as asked, else bfloat16 over a 16-bit base, else float32."""
    config = config_of(base)
    stored = str(config.get("dtype") or config.get("torch_dtype") or "float32")
    return asked if asked != "auto" else ("bfloat16" if stored in ("bfloat16", "float16") else "float32")


def merge(base: Path, adapter: Path, out: Path, dtype: str) -> None:
    """Writes base + adapter as a model of its own, with the tokenizer; `out` is there whole or not at all."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False, "use_safetensors": True}
    model = AutoModelForCausalLM.from_pretrained(base, dtype=getattr(torch, dtype), **options)
    merged = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    save_whole(merged, load_tokenizer(base), out)
    del model, merged
    gc.collect()


def save_whole(model: Any, tokenizer: Any, out: Path) -> None:
    """Saves a model, or an adapter, with its tokenizer under a name that appears only when everything is written."""
    temporary = out.with_name(f".{out.name}.part")
    with storing(out):
        shutil.rmtree(temporary, ignore_errors=True)
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        shutil.rmtree(out, ignore_errors=True)
        temporary.rename(out)
