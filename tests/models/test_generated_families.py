"""Every generated anatomy against its proof: names, shapes, caches that transformers made, replayed without torch."""

from __future__ import annotations

import csv
import json
import math
from importlib import resources
from pathlib import Path

import pytest

from kaibo.models.anatomy import anatomy_for, architecture
from kaibo.models.anatomy.caches import kept_of
from kaibo.models.anatomy.catalogue import GENERATED, family
from kaibo.models.anatomy.promising import promises
from kaibo.models.anatomy.settings import Reader, settings_in

PROOFS = Path(__file__).parent / "proofs"
NAMES = sorted(path.stem for path in PROOFS.glob("*.json"))
REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "configs"
WRAPPING = {"model", "transformer", "backbone"}


def cases_of(name):
    return json.loads((PROOFS / f"{name}.json").read_text())["cases"]


def layers_of(text):
    if not text:
        return [None]
    ends = [[int(n) for n in part.split("-")] for part in text.split(",")]
    return [n for end in ends for n in range(end[0], end[-1] + 1)]


def plain(name):
    return ".".join(part for part in name.split(".") if part not in WRAPPING)


def without(name, prefixes):
    return next((name.removeprefix(prefix) for prefix in prefixes if name.startswith(prefix)), name)


def made(case):
    """What transformers made: name with its layer → shape, number of experts; buffers but biases are left out."""
    buffers = set(case["buffers"])
    return {
        pattern.replace("{layer}", str(layer)): (tuple(shape), experts)
        for pattern, groups in case["tensors"].items()
        if pattern not in buffers or pattern.endswith("bias")
        for shape, layers, experts in groups
        for layer in layers_of(layers)
    }


def promised(name, config):
    anatomy = family(GENERATED + name)
    settings = settings_in(Reader({**anatomy.nested, **config}), anatomy)
    return {plain(one.name): (one.shape, one.experts) for one in promises(config, anatomy, settings)}


def test_every_generated_family_has_a_proof():
    folder = resources.files("kaibo.models.anatomy") / "generated"
    assert {file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_generated_anatomy_makes_the_tensors_and_the_cache_that_transformers_made(name):
    """Names and shapes; no tensor without a role; the count; the numbers kept after 64 and 300 tokens."""
    for case in cases_of(name):
        tensors, config = made(case), case["config"]
        prefixes = family(GENERATED + name).prefixes
        assert promised(name, config) == {plain(without(key, prefixes)): value for key, value in tensors.items()}
        if "cache" in case:
            kept = kept_of({"model_type": name, **config}, name)
            assert {n: sum(one.numbers(int(n)) for one in kept) for n in case["cache"]} == case["cache"]
        if config.get("model_type") == name:  # a part that is published inside a wrapper only is tested there
            assert_placed_and_counted(config, tensors)


def assert_placed_and_counted(config, tensors):
    names = [key.replace("{expert}", "0") for key in tensors]
    anatomy = anatomy_for(config, names)
    assert [key for key in names if anatomy.place(key).role == "other"] == []
    drawn = architecture(config)
    total = sum(math.prod(shape) * max(experts, 1) for shape, experts in tensors.values())
    assert (drawn.parameters_whole or drawn.parameters) == total, drawn.why


def counts():
    if not (REFERENCE / "counts.csv").is_file():
        return []
    with (REFERENCE / "counts.csv").open() as file:
        return [row for row in csv.DictReader(file) if row["parameters_text"] or row["parameters_whole"]]


CORRECTIONS = {
    "deepseek_v3": 58 * 256,
    "deepseek_v32": 58 * 256,
    "kimi_k2": 60 * 384,
    "kimi_k25": 60 * 384,
    "minimax_m2": 62 * 256,
    "deepseek_v4": 40 * 256,
    "glm_moe_dsa": 75 * 256,
    "nemotron_h": 23 * 128,
}
"""Correction biases, which files hold as tensors and transformers keeps as buffers, beside its counts."""


@pytest.mark.skipif(not counts(), reason="the reference configs are not here")
@pytest.mark.parametrize("row", counts(), ids=lambda row: row["config"])
def test_published_configs_have_the_parameters_that_transformers_counts(row):
    config = json.loads((REFERENCE / f"{row['config']}.json").read_text())
    drawn = architecture(config)
    if drawn.parameters is None:
        pytest.skip("its family is not generated: docs/families.md says why")
    more = CORRECTIONS.get(config["model_type"], 0)
    assert drawn.parameters - more == int(row["parameters_text"])
    if row["parameters_whole"] and drawn.parameters_whole is not None:  # else its parts are not generated
        assert drawn.parameters_whole - more == int(row["parameters_whole"])
