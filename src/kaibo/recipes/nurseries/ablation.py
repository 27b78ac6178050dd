"""The ablation nursery: every exchange of a part, several seeds each, on the same data; a table with intervals."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from kaibo.recipes.nurseries.exchanged import Exchanged, Parts
from kaibo.recipes.nurseries.nursery_plan import Planned
from kaibo.recipes.rows.data import Rows, read_rows
from kaibo.recipes.rows.reading import batch, token_stream, tokens_per_step, tokens_wanted
from kaibo.recipes.runs.account import ACCOUNT, fingerprint, storing, versions, write_json
from kaibo.recipes.runs.digits_of import digit_mae
from kaibo.recipes.runs.lifecycle import known_run
from kaibo.recipes.runs.workshop import Workshop
from kaibo.recipes.runs.writing import synced
from kaibo.recipes.settings.schema import Data, Recipe
from kaibo.recipes.training.optimisers import learning_rate, optimiser
from kaibo.recipes.training.pretraining import threads
from kaibo.recipes.vocabularies.tokenizers import load_tokenizer
from kaibo.uncertainty.intervals import mean_interval

SEEDS = (42, 100, 7)

EXCHANGES: Mapping[str, Mapping[str, Any]] = {
    "LLaMA": {},
    "LayerNorm": {"norm": "LayerNorm"},
    "GELU": {"mlp": "GELU"},
    "learned": {"positions": "learned"},
    "sinusoidal": {"positions": "sinusoidal"},
    "MHA": {"kv_heads": "all"},
    "MQA": {"kv_heads": "one"},
}
"""What stands in the place of LLaMA's part; LLaMA itself has RMSNorm, SwiGLU, rotary positions, grouped queries."""

PART = {"LayerNorm": "norm", "GELU": "feed-forward", "learned": "positions", "sinusoidal": "positions"}
PART |= {"MHA": "attention", "MQA": "attention", "LLaMA": "none"}

MEASURES = ("loss", "beyond", "tokens_per_second", "mae")


@dataclass(frozen=True)
class AblationRow:
    """One exchange over all seeds: means with 95 % intervals (Student's t over seeds; three seeds make them wide).

    `loss` is nats per token of the held-out texts within the trained length, `beyond` that of the positions after it
    up to twice the length, `mae` the distance of the weights' first digits from Benford's law. `worse` is the loss
    above LLaMA's with the same seed. `kv_bytes_per_token` is for 16 bit.
    """

    part: str
    choice: str
    parameters: int
    seeds: int
    loss: float
    loss_low: float
    loss_high: float
    worse: float
    worse_low: float
    worse_high: float
    beyond: float
    beyond_low: float
    beyond_high: float
    tokens_per_second: float
    tokens_per_second_low: float
    tokens_per_second_high: float
    kv_bytes_per_token: int
    mae: float
    mae_low: float
    mae_high: float
    why: dict[str, str] = field(default_factory=dict)


def exchanges(base: Planned, shop: Workshop, seeds: Sequence[int] = SEEDS) -> Iterator[dict[str, Any]]:
    """Trains every exchange with every seed, or finds it trained; the account of each as it is finished."""
    for choice in EXCHANGES:
        for seed in seeds:
            recipe = replace(base.recipe, name=f"ablation-{choice.lower()}-seed{seed}", seed=seed)
            rows = read_rows(recipe.data, "pretrain")
            identity = fingerprint(recipe, choice, rows.sha256)
            known = known_run(shop.out / recipe.name, identity, shop.force)
            yield known or _kept(shop.out / recipe.name, identity, _made(recipe, choice, rows, shop))


def parts_of(recipe: Recipe, choice: str) -> Parts:
    """The shape of the smallest size with one part exchanged."""
    shape = recipe.model
    heads = shape.num_attention_heads
    named = dict(EXCHANGES[choice])
    shared = {"all": heads, "one": 1}.get(str(named.pop("kv_heads", "")), shape.num_key_value_heads or heads)
    return Parts(
        shape.vocab_size,
        shape.hidden_size,
        shape.intermediate_size or 3 * shape.hidden_size,
        shape.num_hidden_layers,
        heads,
        shared,
        shape.max_position_embeddings,
        **named,
    )


def _made(recipe: Recipe, choice: str, rows: Rows, shop: Workshop) -> dict[str, Any]:
    tokenizer = load_tokenizer(Path(recipe.pretrain.tokenizer))
    stream = token_stream(rows, tokenizer, tokens_wanted(recipe), markup=recipe.pretrain.markup)
    parts = parts_of(recipe, choice)
    model = Exchanged(parts, recipe.seed)
    folder = shop.out / recipe.name
    with threads(recipe.pretrain.threads):
        losses, seconds = _trained(model, recipe, stream, shop)
        scored = _scored(model, recipe, tokenizer)
    _saved(model, folder)
    return {
        "recipe": recipe.record(),
        "versions": versions(),
        "base": {"address": "", "folder": "", "model_id": "", "parent": None, "origin": ""},
        "data": {"name": Path(recipe.data.files[0]).name, "sha256": rows.sha256, "rows": len(rows.rows)},
        "result": {
            "model": "model.safetensors",
            "steps": len(losses),
            "loss_first": losses[0],
            "loss_last": losses[-1],
            "tokens": len(losses) * tokens_per_step(recipe),
            "seconds": seconds,
        },
        "ablation": {
            "choice": choice,
            "parameters": sum(weight.numel() for weight in model.parameters()),
            "kv_bytes_per_token": parts.kv_bytes_per_token,
            "tokens_per_second": len(losses) * tokens_per_step(recipe) / seconds,
            "mae": digit_mae(folder / "model.safetensors"),
            **scored,
        },
    }


def _kept(folder: Path, identity: str, account: dict[str, Any]) -> dict[str, Any]:
    """The account with what identifies the run, written last: where it is, the run is finished."""
    whole = {"fingerprint": identity, **account}
    write_json(folder / ACCOUNT, whole)
    return whole


def _trained(model: Exchanged, recipe: Recipe, stream: torch.Tensor, shop: Workshop) -> tuple[list[float], float]:
    training, losses, started = recipe.training, [], time.monotonic()
    update = optimiser(model, training)
    steps = training.steps or 1
    shop.watcher.begin(recipe.name, steps)
    for step in range(1, steps + 1):
        for group in update.param_groups:
            group["lr"] = learning_rate(step, steps, training)
        ids, targets = batch(stream, step - 1, training.batch, training.max_length)
        loss = torch.nn.functional.cross_entropy(model(ids).flatten(0, 1), targets.flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), training.clip or math.inf)
        update.step()
        update.zero_grad(set_to_none=True)
        losses.append(loss.item())
        shop.watcher.step(step, step * tokens_per_step(recipe), losses[-1])
    return losses, time.monotonic() - started


def _scored(model: Exchanged, recipe: Recipe, tokenizer: Any) -> dict[str, float]:
    """Held-out loss in rows of twice the trained length: of their first half, and of their second."""
    length = recipe.training.max_length
    folder = Path(recipe.data.files[0]).parent
    files = tuple(str(folder / f"held-out-{language}.txt") for language in ("en", "ja"))
    stream = token_stream(read_rows(Data(files=files, form="text"), "pretrain"), tokenizer, None)
    rows = (len(stream) - 1) // (2 * length)
    ids, targets = batch(stream, 0, rows, 2 * length)
    with torch.inference_mode():
        nats = torch.cat(
            [
                torch.nn.functional.cross_entropy(model(one[None])[0], other, reduction="none")[None]
                for one, other in zip(ids, targets, strict=True)
            ]
        ).double()
    return {"loss": nats[:, :length].mean().item(), "beyond": nats[:, length:].mean().item()}


def _saved(model: Exchanged, folder: Path) -> None:
    from safetensors.torch import save_file

    tensors = {f"model.{name}": weight.detach().contiguous() for name, weight in model.named_parameters()}
    temporary = folder / ".model.part"
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, temporary, {"format": "pt"})
        synced(temporary)
        temporary.replace(folder / "model.safetensors")


def table(accounts: Sequence[Mapping[str, Any]]) -> tuple[AblationRow, ...]:
    """A row an exchange, in the order in which they were made."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for account in accounts:
        found.setdefault(account["ablation"]["choice"], []).append(account)
    plain = {account["recipe"]["seed"]: account["ablation"]["loss"] for account in found["LLaMA"]}
    return tuple(_row(choice, several, plain) for choice, several in found.items())


def _row(choice: str, accounts: Sequence[Mapping[str, Any]], plain: Mapping[int, float]) -> AblationRow:
    measured = [account["ablation"] for account in accounts]
    values = {name: [one[name] for one in measured] for name in MEASURES}
    values["worse"] = [account["ablation"]["loss"] - plain[account["recipe"]["seed"]] for account in accounts]
    numbers: dict[str, float] = {}
    for name, several in values.items():
        found = mean_interval(several) if name == "worse" else mean_interval(several).within(0.0)
        numbers |= {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high}
    return AblationRow(
        part=PART[choice],
        choice=choice,
        parameters=measured[0]["parameters"],
        seeds=len(measured),
        kv_bytes_per_token=measured[0]["kv_bytes_per_token"],
        why={"loss_low": "one seed has no interval"} if len(measured) < 2 else {},
        **numbers,
    )
