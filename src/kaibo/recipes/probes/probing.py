"""Does it still answer? Prompts go in, greedy answers come out, and are counted (see `judging`)."""

from __future__ import annotations

import gc
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from kaibo.documents.json_text import json_line, read_json
from kaibo.documents.reading import read_text
from kaibo.errors import FormatError, PolicyError, UsageError
from kaibo.recipes.loading import Precision, base_folder, device_of, hushed, load_base, load_tokenizer
from kaibo.recipes.probes.judging import ProbeRow, Reply, judged
from kaibo.recipes.probes.languages import language_of, languages

BATCH = 8


@dataclass(frozen=True)
class Prompt:
    """One question: its messages, and the language that an answer is expected in."""

    messages: tuple[dict[str, str], ...]
    asked: str

    @property
    def text(self) -> str:
        """The question itself."""
        return self.messages[-1]["content"]


def shipped_prompts(language: str = "") -> list[Prompt]:
    """The prompts that come with kaibo, in all languages or in one. Raises UsageError for one that has none."""
    text = (resources.files("kaibo.recipes") / "prompts" / "answering.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    if language and language not in table["prompts"]:
        raise UsageError(f"there are no prompts in {language!r}", next=f"languages: {', '.join(languages())}")
    return [
        Prompt(({"role": "system", "content": table["system"][asked]}, {"role": "user", "content": question}), asked)
        for asked, questions in table["prompts"].items()
        if language in ("", asked)
        for question in questions
    ]


def read_prompts(file: str, language: str = "") -> list[Prompt]:
    """The prompts of a file: a question a line, or JSONL with `prompt` (text or messages) and perhaps `language`."""
    lines = read_text(file).split("\n")
    found = [_prompt(line, number, file, language) for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise FormatError("holds no prompt", file=file, next="write a question a line")
    return found


def _prompt(line: str, number: int, file: str, language: str) -> Prompt:
    if not line.lstrip().startswith("{"):
        return Prompt(({"role": "user", "content": line.strip()},), language or language_of(line))
    row = json_line(line, file, number)
    try:
        given = row.get("messages", row.get("prompt"))
        turns = [{"role": "user", "content": given}] if isinstance(given, str) else list(given)
        messages = tuple({"role": str(turn["role"]), "content": str(turn["content"])} for turn in turns)
        asked = language or row.get("language") or language_of(messages[-1]["content"])
    except (TypeError, KeyError, IndexError, AttributeError) as problem:
        raise FormatError(f"line {number} is no prompt", file=file, next='write {"prompt": "…"}') from problem
    if asked not in languages():
        message = f"line {number}: language {asked!r} cannot be told"
        raise FormatError(message, file=file, next=f"languages: {', '.join(languages())}")
    return Prompt(messages, asked)


def prompts_for(file: str, language: str) -> list[Prompt]:
    """The prompts of a file, else the shipped ones."""
    if language and language not in languages():
        raise UsageError(f"language {language!r} cannot be told", next=f"languages: {', '.join(languages())}")
    return read_prompts(file, language) if file else shipped_prompts(language)


def probe(
    address: str, prompts: Sequence[Prompt], *, max_tokens: int, device: str = "auto", base: str | None = None
) -> tuple[tuple[ProbeRow, ...], tuple[Reply, ...]]:
    """What a model does with prompts: a row a language, and the answers themselves.

    An address of a folder with `adapter_config.json` is read with its base (or `base`). Raises what loading raises.
    """
    with hushed():
        model, tokenizer = opened(address, device_of(device), base)
        replies = tuple(answered(model, tokenizer, prompts, max_tokens, address))
        del model
        gc.collect()
    return judged(address, replies), replies


def opened(address: str, device: str, base: str | None = None) -> tuple[Any, Any]:
    """A model that can be asked: float32 on the CPU, bfloat16 elsewhere; an adapter on its base."""
    import torch

    precision = Precision(device, torch.float32 if device == "cpu" else torch.bfloat16, None)
    place = Path(address)
    if not (place / "adapter_config.json").is_file():
        folder = base_folder(address)
        return load_base(folder, precision), load_tokenizer(folder)
    below = base_folder(base or _base_of(place))
    from peft import PeftModel

    model = PeftModel.from_pretrained(load_base(below, precision), place).to(device)
    has_tokenizer = (place / "tokenizer_config.json").is_file()
    return model, load_tokenizer(place if has_tokenizer else below)


def _base_of(place: Path) -> str:
    try:
        named = read_json(place / "adapter_config.json")["base_model_name_or_path"]
    except (KeyError, TypeError) as problem:
        raise FormatError("names no base", file=place / "adapter_config.json", next="give it with --base") from problem
    return str(named) if Path(str(named)).exists() else f"hf:{named}"


def answered(model: Any, tokenizer: Any, prompts: Sequence[Prompt], max_tokens: int, address: str) -> Iterable[Reply]:
    """Greedy answers, a batch of prompts at a time, padded on the left."""
    import torch

    model.eval()
    tokenizer.padding_side = "left"
    texts = [written(prompt, tokenizer, address) for prompt in prompts]
    ends = _ends(model, tokenizer)
    for begin in range(0, len(prompts), BATCH):
        batch = tokenizer(texts[begin : begin + BATCH], return_tensors="pt", padding=True, add_special_tokens=False)
        batch = {name: batch[name].to(model.device) for name in ("input_ids", "attention_mask")}
        with torch.no_grad():
            out = model.generate(
                **batch,
                max_new_tokens=max_tokens,
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=sorted(ends),
                temperature=None,
                top_p=None,
                top_k=None,
            )
        for prompt, ids in zip(prompts[begin : begin + BATCH], out, strict=False):
            yield _reply(prompt, ids[batch["input_ids"].shape[1] :].tolist(), tokenizer, ends)


def _ends(model: Any, tokenizer: Any) -> set[int]:
    """The tokens after which the model has stopped: those its settings name and its tokenizer's."""
    named = model.generation_config.eos_token_id
    found = set(named if isinstance(named, list) else [named]) | {tokenizer.eos_token_id}
    return {int(one) for one in found if one is not None}


def _reply(prompt: Prompt, ids: list[int], tokenizer: Any, ends: set[int]) -> Reply:
    place = next((place for place, one in enumerate(ids) if one in ends), None)
    said = ids if place is None else ids[:place]
    text = tokenizer.decode(said, skip_special_tokens=True)
    raw = tokenizer.decode(said, skip_special_tokens=False)
    special = set(tokenizer.all_special_ids) & set(said)
    marks = "".join(f"<|{one}|>" for one in sorted(special))  # a special token leaks, however it is written
    return Reply(prompt.text, prompt.asked, tuple(said), text, raw + marks, place is not None)


def written(prompt: Prompt, tokenizer: Any, address: str) -> str:
    """A prompt as the model's own template writes it; without a template its messages, a paragraph each."""
    import jinja2

    messages = list(prompt.messages)
    if tokenizer.chat_template is None:
        return (tokenizer.bos_token or "") + "\n\n".join(turn["content"] for turn in messages) + "\n\n"
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    except jinja2.exceptions.SecurityError as problem:
        raise PolicyError("its chat template reaches for Python", file=address) from problem
    except jinja2.exceptions.TemplateError:
        return _without_system(messages, tokenizer, address)


def _without_system(messages: list[dict[str, str]], tokenizer: Any, address: str) -> str:
    """Some templates know no system message: it is put before the first question."""
    import jinja2

    system = [turn["content"] for turn in messages if turn["role"] == "system"]
    turns = [dict(turn) for turn in messages if turn["role"] != "system"]
    turns[0]["content"] = "\n\n".join([*system, turns[0]["content"]])
    try:
        return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    except jinja2.exceptions.TemplateError as problem:
        raise FormatError(f"its chat template fails ({problem})", file=address) from problem
