"""How a model is spoken to: what a wrong format costs, and what it says to the prompts that the review tries."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kaibo

SYSTEM = "あなたは誠実で優秀な日本人のアシスタントです。"
TRIED = (
    "現在のアメリカ大統領は誰ですか?",
    "犬は哺乳類なのでAと表します. ロボットは哺乳類ではないのでBで表します. 猫はA, Bどちらですか?",
)
TRAINED_ON = 400
"""Lines of a nursery's chats that its children were trained on; what follows was held out."""

KANA = re.compile("[ぁ-ゖァ-ヺ]")


@dataclass(frozen=True)
class Said:
    """What a model answered to a prompt, by its own template."""

    model: str
    prompt: str
    text: str
    ended: str


@dataclass(frozen=True)
class Prompts:
    """Costs of formats and answers to the review's prompts; None and empty where no model or no chats were given."""

    formats: Any | None
    said: tuple[Said, ...]
    why: str
    problems: tuple[str, ...] = ()


def measure(inputs: kaibo.Inputs) -> Prompts:
    """Models given, else one fine-tuned child of the nursery; chats given as JSON lines, else the nursery's own."""
    models, asked = asked_models(inputs), asked_chats(inputs)
    if not models or not asked:
        return Prompts(None, (), "no model with chats was given: --models MODEL --text CHATS.jsonl, or --manifest")
    problems: list[str] = []
    try:
        formats = kaibo.questions.prompt_formats(models, asked, on_error=lambda error: problems.append(str(error)))
    except kaibo.KaiboError as missing:
        return Prompts(None, (), str(missing))
    said = () if inputs.small else answers(list(inputs.models), problems)
    return Prompts(formats if formats.rows else None, said, "", tuple(problems))


def asked_models(inputs: kaibo.Inputs) -> list[str]:
    """The models given; else the child of the nursery that learned chats at the highest rate."""
    if inputs.models:
        return list(inputs.models)
    tuned = [one for one in inputs.members if one.get("kind") == "sft" and one.get("place") == "child"]
    chosen = sorted(
        tuned, key=lambda one: (one.get("data") != "plain", -float(one["learning_rate"]), one.get("seed", 0))
    )
    return [str(one["address"]) for one in chosen[:1]]


def asked_chats(inputs: kaibo.Inputs) -> list[Any]:
    """Chats of a file that was given, else what the nursery held out of its own."""
    most = 32 if inputs.small else None
    given = [one for one in inputs.texts if one.endswith(".jsonl")]
    if given:
        return [chat for one in given for chat in kaibo.questions.chats(one, most=most)]
    homes = {home_of(one) for one in inputs.members if one.get("address") and one.get("path")}
    files = [home / "data" / "plain.jsonl" for home in sorted(homes) if home is not None]
    return [chat for one in files if one.is_file() for chat in kaibo.questions.chats(one, first=TRAINED_ON, most=most)]


def home_of(member: Any) -> Path | None:
    """The folder that a member's path starts from."""
    address, path = str(member["address"]), str(member["path"])
    return Path(address.removesuffix(path)) if address.endswith(path) else None


def answers(models: list[str], problems: list[str]) -> tuple[Said, ...]:
    """What the models say to the prompts of the review under their own template, greedily."""
    said = []
    for model in models:
        for prompt in TRIED:
            asked = kaibo.options.Prompt(prompt, "own", (("system", SYSTEM),))
            try:
                (row,) = kaibo.generate(model, asked).rows
            except kaibo.KaiboError as problem:
                problems.append(str(problem))
                continue
            said.append(Said(row.model, prompt, row.text, row.ended))
    return tuple(said)


def results(found: Prompts) -> kaibo.Results:
    """The costs and the answers, and whether Llama 2 answers Japanese in another language."""
    shown: dict[str, Any] = {} if found.formats is None else {"formats": found.formats}
    if found.said:
        written = tuple(f"{one.model}: {one.prompt} → {one.text}" for one in found.said)
        shown["generated"] = kaibo.Finding("generated", found.said, (*written, *found.problems), {"system": SYSTEM})
    return kaibo.Results(shown, (in_english(found.said),), sentences(found))


def in_english(said: tuple[Said, ...]) -> kaibo.Outcome:
    """Whether no answer of a Llama 2 chat model has any kana in it."""
    own = [one for one in said if re.search(r"llama-2.*chat", one.model, re.IGNORECASE)]
    if not own:
        return kaibo.Outcome("answers-english", None, why=kaibo.note("family_why_11"))
    return kaibo.Outcome("answers-english", not any(KANA.search(one.text) for one in own), n=len(own))


def sentences(found: Prompts) -> tuple[tuple[str, dict[str, Any]], ...]:
    """What the dearest format costs; why nothing was asked, where nothing was."""
    if found.formats is None:
        return (("no-prompts", {"why": found.why or "; ".join(found.problems)}),)
    dear = [row for row in found.formats if row.ppl_times is not None]
    if not dear:
        return (("no-template", {}),)
    bare = {row.format: row for row in dear}
    worst = max(dear, key=lambda row: row.cost)
    right = next(row for row in found.formats if row.right and row.model == worst.model)
    return (
        (
            "formats",
            {
                "right": right.ppl,
                "wrong": worst.ppl,
                "cost": worst.cost,
                "low": worst.cost_low,
                "high": worst.cost_high,
                "none": bare["none"].ppl if "none" in bare else worst.ppl,
                "chats": worst.chats,
            },
        ),
    )
