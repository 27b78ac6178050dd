"""Models made on the spot with transformers and PEFT: a base, two short fine-tunes of it and adapters for it.

Everything is built when it is first asked for and kept for the session; the same name is always the same folder. All
heavy imports are made inside functions, so that a test that asks for nothing pays nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TEXT = "the cat sat on a mat and dog ran to its home while rain fell over old town"
WORDS = ("<unk>", "<s>", "</s>")
VOCABULARY = 96
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ADAPTERS: dict[str, dict[str, Any]] = {
    "lora": {"r": 4, "lora_alpha": 8, "target_modules": LINEAR},
    "rslora": {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"], "use_rslora": True},
    "dora": {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "down_proj"], "use_dora": True},
}


@dataclass(frozen=True)
class Made:
    """The demo models in one folder, each built when it is first asked for.

    `base("bf16")` is a LLaMA of two blocks (grouped queries, head not tied) with a tokenizer; `tuned(seed, dtype)` a
    real fine-tune of it: AdamW in float32 on data of its own, stored as `dtype`; `adapter(kind)` a PEFT adapter of the
    kinds in `ADAPTERS`, trained so that B is not zero; `float32` variants hold the values before they were rounded,
    except the base, whose values are those of the bf16 file in either type.
    """

    folder: Path
    _done: dict[str, Path] = field(default_factory=dict, repr=False)

    def base(self, dtype: str = "bf16") -> Path:
        """The base's folder."""
        return self._once(f"base-{dtype}", lambda path: _save(_new_base(), path, dtype))

    def tuned(self, seed: int = 1, dtype: str = "bf16") -> Path:
        """The folder of a full fine-tune."""
        return self._once(f"tuned-{seed}-{dtype}", lambda path: _save(_tuned(self.base("float32"), seed), path, dtype))

    def adapter(self, kind: str = "lora", seed: int = 1) -> Path:
        """The folder of an adapter (`adapter_config.json`, `adapter_model.safetensors`)."""
        return self.adapted(f"{kind}-{seed}", seed, **ADAPTERS[kind])

    def adapted(self, name: str, seed: int = 1, **settings: Any) -> Path:
        """The folder of an adapter of any `LoraConfig`, under a name of its own."""
        return self._once(f"adapter-{name}", lambda path: _adapter(self.base("float32"), path, seed, settings))

    def merged(self, adapter: Path) -> Path:
        """Base and adapter merged by PEFT in float32."""
        return self._once(f"merged-{adapter.name}", lambda path: _merge(self.base("float32"), adapter, path))

    def _once(self, name: str, build: Callable[[Path], None]) -> Path:
        if name not in self._done:
            path = self.folder / name
            with quiet():
                build(path)
            self._done[name] = path
        return self._done[name]


@contextmanager
def quiet() -> Iterator[None]:
    """Third parties warn of what is theirs; the tests turn every warning into an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _new_base() -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "vocab_size": VOCABULARY}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(LlamaConfig(**sizes, **heads, bos_token_id=1, eos_token_id=2, pad_token_id=0))
    return model.to(torch.bfloat16).float()  # the base's values are those that bf16 can hold


def _save(model: Any, path: Path, dtype: str) -> None:
    import torch

    kept = {"bf16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}[dtype]
    model.to(kept).save_pretrained(path)
    _tokenizer().save_pretrained(path)


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {word: place for place, word in enumerate(dict.fromkeys((*WORDS, *TEXT.split())))}
    rest = {f"word{place}": place for place in range(len(words), VOCABULARY)}
    plain = Tokenizer(models.WordLevel({**words, **rest}, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


def _open(path: Path) -> Any:
    import torch
    from transformers import LlamaForCausalLM

    return LlamaForCausalLM.from_pretrained(path, dtype=torch.float32)


def _train(model: Any, seed: int, rate: float, steps: int = 4) -> None:
    """A few steps of AdamW on random words: enough that every trained weight moves."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        data = torch.randint(3, VOCABULARY, (steps, 4, 16))
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        optimiser = torch.optim.AdamW(trained, lr=rate)
        model.train()
        for batch in data:
            model(input_ids=batch, labels=batch).loss.backward()
            optimiser.step()
            optimiser.zero_grad()


def _tuned(base: Path, seed: int) -> Any:
    model = _open(base)
    _train(model, seed, rate=1e-3)
    return model


def _adapter(base: Path, path: Path, seed: int, settings: dict[str, Any]) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = get_peft_model(_open(base), LoraConfig(task_type="CAUSAL_LM", **settings))
    _train(model, seed, rate=1e-2)
    model.save_pretrained(path)


def _merge(base: Path, adapter: Path, path: Path) -> None:
    from peft import PeftModel

    PeftModel.from_pretrained(_open(base), adapter).merge_and_unload().save_pretrained(path)
