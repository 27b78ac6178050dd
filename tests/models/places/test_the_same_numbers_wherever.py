"""Whatever the format, the numbers are those of the folder here, wherever the same files lie."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kaibo
from hub_server import Hub
from kaibo.chapters.dissect.ask import Output
from kaibo.models.places import far
from kaibo.testing import tiny_adapter, tiny_model, write_safetensors
from made_gguf import write_gguf
from object_server import Objects
from range_server import Served

Put = Callable[[Path], str]
"""Lays a folder down at a place and says its address there."""


SLOW = pytest.mark.slow


@pytest.fixture(params=["http", pytest.param("hub", marks=SLOW), pytest.param("objects", marks=SLOW)])
def put(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Put]:
    if request.param == "http":
        monkeypatch.setattr(far, "FRESH", -1.0)
        with Served(tmp_path / "web") as served:
            yield lambda folder: f"{served.url}/{copied(folder, served.folder).name}"
    elif request.param == "hub":
        hub: Hub = request.getfixturevalue("hub")
        yield lambda folder: f"hf:org/{copied(folder, hub.folder / 'org', 'main').parent.name}"
    else:
        objects: Objects = request.getfixturevalue("bucket")
        yield lambda folder: f"s3://b/{copied(folder, objects.folder / 'b').name}"


def copied(folder: Path, to: Path, below: str = "") -> Path:
    return Path(shutil.copytree(folder, to / folder.name / below))


def sharded(folder: Path) -> Path:
    return tiny_model(folder, shards=2)


def single(folder: Path) -> Path:
    return tiny_model(folder)


def quantised(folder: Path) -> Path:
    """8-bit codes with a scale for each row."""
    tiny_model(folder, layers=1)
    codes, scale = np.random.default_rng(0).integers(0, 0x7E, (32, 32)).astype(np.uint8), np.full((32, 1), 0.01, "<f4")
    name = "model.layers.0.self_attn.q_proj.weight"
    held = {name: ("F8_E4M3", codes.shape, codes.tobytes()), f"{name}_scale": ("F32", scale.shape, scale.tobytes())}
    write_safetensors(folder / "model.safetensors", held)
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "compressed-tensors", "format": "float-quantized"}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def gguf(folder: Path) -> Path:
    values = np.random.default_rng(0).standard_normal((32, 64)).astype("<f4")
    blocks = np.random.default_rng(1).integers(0, 255, 32 * 2 * 34).astype(np.uint8).reshape(-1, 34)
    blocks[:, :2] = np.frombuffer(np.float16(0.01).tobytes(), np.uint8)
    tensors = {
        "token_embd.weight": ("F32", values.shape, values.tobytes()),
        "blk.0.ffn_up.weight": ("Q8_0", (32, 64), blocks.tobytes()),
    }
    write_gguf(folder / "m.gguf", {"general.architecture": "llama"}, tensors)
    return folder


def numbers(address: str, store: Path) -> list[dict[str, Any]]:
    settings = kaibo.Settings(store=store)
    found = [
        *kaibo.inspect(address).rows,
        *kaibo.stats(address, by="role", settings=settings).rows,
        *kaibo.digits(address, settings=settings).rows,
        *kaibo.check(address, settings=settings).rows,
    ]
    return [json.loads(json.dumps(asdict(row), default=str).replace(address, "it")) for row in found]


def without_names(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key not in ("name", "path", "address")} for row in rows]


@pytest.mark.parametrize(("make", "file"), [(sharded, ""), (single, ""), (quantised, ""), (gguf, "/m.gguf")])
def test_inspect_stats_digits_and_check_say_the_same(
    put: Put, make: Callable[[Path], Path], file: str, tmp_path: Path
) -> None:
    folder = make(tmp_path / "m")
    here, there = numbers(f"{folder}{file}", tmp_path / "a"), numbers(f"{put(folder)}{file}", tmp_path / "b")
    assert without_names(there) == without_names(here)


def test_an_adapter_here_meets_a_base_that_lies_elsewhere(put: Put, tmp_path: Path) -> None:
    base, adapter = tiny_model(tmp_path / "base"), tiny_adapter(tmp_path / "adapter")
    address = put(base)
    here = kaibo.diff(base, adapter, settings=kaibo.Settings(store=tmp_path / "a")).norms.rows
    for given in (adapter, put(adapter)):
        there = kaibo.diff(address, given, settings=kaibo.Settings(store=tmp_path / "b")).norms.rows
        assert [(row.l1, row.l2, row.cosine) for row in there] == [(row.l1, row.l2, row.cosine) for row in here]


@SLOW
def test_a_dissection_has_the_same_findings(put: Put, tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "m", shards=2)
    found = []
    for place, address in enumerate((str(folder), put(folder))):
        output = Output(tmp_path / f"out{place}")
        done = kaibo.dissect(address, output=output, settings=kaibo.Settings(store=tmp_path / f"store{place}"))
        found.append(done.sentences)
    assert found[0] == found[1]
