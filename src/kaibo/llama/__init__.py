"""A folder's config and weights in, logits out: the reference LLaMA, in files that read in the order a token runs.

    ids ─▶ embedding ─▶ ( RMSNorm ─▶ attention ─▶ + ─▶ RMSNorm ─▶ SwiGLU ─▶ + ) × layers ─▶ RMSNorm ─▶ head
           model.py       norm.py    attention.py        norm.py   mlp.py                    norm.py   model.py
                                     rotary.py, cache.py

Needs the extra `torch`; everything is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "kaibo.llama.config.config": ("LlamaConfig", "Rope", "with_rope"),
    "kaibo.llama.config.config_json": ("read_config", "write_config"),
    "kaibo.llama.model": ("Llama", "initialise"),
    "kaibo.llama.cache": ("Cache",),
    "kaibo.llama.loss": ("mean_loss", "token_losses"),
    "kaibo.llama.loading": ("fill", "load_llama"),
    "kaibo.llama.saving": ("save_llama",),
    "kaibo.llama.engines.causal": ("Causal", "Kept", "Runs"),
    "kaibo.llama.engines.opening": ("open_causal", "run_model"),
    "kaibo.llama.tokens": ("Tokenizer", "open_tokenizer", "tokenizer_hash"),
    "kaibo.llama.chat": ("Message", "Piece", "Problem", "Tags"),
    "kaibo.llama.tour": ("walk",),
    "kaibo.llama.sampling": ("Sampling",),
    "kaibo.llama.generation": ("Generated", "Written", "generate"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"kaibo.llama has no {name!r}")
    try:
        return getattr(import_module(_HOME[name]), name)
    except ModuleNotFoundError as absent:
        if (absent.name or "").partition(".")[0] not in ("torch", "transformers", "tokenizers", "safetensors"):
            raise
        from kaibo.errors import missing_extra

        raise missing_extra("torch", "running models") from absent
