"""Checkpoints of torch.distributed: parts are joined by their offsets; holes, overlaps and paths out are named."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import ChunkStorageMetadata, Metadata, MetadataIndex

from kaibo.errors import FormatError, KaiboError, MissingError, PolicyError
from kaibo.models import open_model
from kaibo.models.formats import pieces
from kaibo.vocabulary import Model


def save(folder: Path, value: dict[str, Any]) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.save(value, checkpoint_id=folder, no_dist=True)
    return folder


def values(model: Model) -> dict[str, tuple[tuple[int, ...], bytes]]:
    return {
        one.name: (one.shape, b"".join(chunk.tobytes() for chunk in one.chunks(np.empty(40, np.uint8))))
        for one in model.tensors
    }


def expected(held: dict[str, torch.Tensor]) -> dict[str, tuple[tuple[int, ...], bytes]]:
    return {
        name: (tuple(one.shape), one.contiguous().flatten().view(torch.uint8).numpy().tobytes())
        for name, one in held.items()
    }


def weights() -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return {
        "h.0.weight": torch.randn(6, 10, generator=random),
        "h.0.bias": torch.randn(6, generator=random).bfloat16(),
        "h.0.turned": torch.randn(4, 3, generator=random).t(),
        "scalar": torch.tensor(2.5),
    }


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_checkpoint_is_the_model_that_was_saved_without_the_optimizer(tmp_path: Path, wrapped: bool) -> None:
    held = weights()
    beside = {"optimizer": {"state": {"h.0.weight": {"exp_avg": torch.ones(3)}}}, "epoch": 3}
    model = open_model(save(tmp_path / "c", {"model": held, **beside} if wrapped else held))
    assert values(model) == expected(held)
    assert any("left out: 1 tensors of optimizer" in note for note in model.notes) is wrapped


def cut(folder: Path, tensor: torch.Tensor, parts: list[tuple[tuple[int, int], tuple[int, int]]]) -> Path:
    """A checkpoint in which one matrix lies in parts (first index, shape), each in a file of its own."""
    save(folder, {"w": tensor})
    (folder / "__0_0.distcp").unlink()
    metadata: Metadata = pickle.loads((folder / ".metadata").read_bytes())
    told: Any = metadata.state_dict_metadata["w"]
    told.chunks = [ChunkStorageMetadata(torch.Size(at), torch.Size(size)) for at, size in parts]
    metadata.storage_data = {}
    for number, (at, size) in enumerate(parts):
        file = folder / f"__{number}_0.distcp"
        part = tensor[at[0] : at[0] + size[0], at[1] : at[1] + size[1]].clone()
        with file.open("wb") as out:
            out.write(b"before")
            torch.save(part, out)
        where = MetadataIndex("w", torch.Size(at), number)
        metadata.storage_data[where] = _StorageInfo(file.name, 6, file.stat().st_size - 6)
    (folder / ".metadata").write_bytes(pickle.dumps(metadata))
    return folder


MATRIX = torch.arange(60, dtype=torch.float32).reshape(6, 10)


@pytest.mark.parametrize(
    "parts",
    [
        [((0, 0), (2, 10)), ((2, 0), (4, 10))],
        [((0, 0), (6, 3)), ((0, 3), (6, 7))],
        [((0, 0), (2, 5)), ((0, 5), (2, 5)), ((2, 0), (4, 1)), ((2, 1), (4, 9))],
    ],
)
def test_parts_of_any_boxes_are_joined(tmp_path: Path, parts: Any) -> None:
    assert values(open_model(cut(tmp_path / "c", MATRIX, parts))) == expected({"w": MATRIX})


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([((0, 0), (2, 10)), ((3, 0), (3, 10))], "50 of 60 values; the rest is a hole"),
        ([((0, 0), (4, 10)), ((2, 0), (4, 10))], r"\[0, 0\] and at \[2, 0\] overlap"),
        ([((0, 0), (6, 10)), ((5, 8), (1, 2))], "overlap"),
        ([((0, 0), (6, 10)), ((6, 0), (1, 10))], "reaches out"),
        ([], "a hole"),
    ],
)
def test_holes_and_overlaps_are_named(tmp_path: Path, parts: Any, said: str) -> None:
    with pytest.raises(FormatError, match=f'tensor "w".*{said}'):
        open_model(cut(tmp_path / "c", MATRIX, parts))


def test_very_many_parts_are_held_against_each_other_in_little_time() -> None:
    rows = [((n, 0), (1, 8)) for n in range(50_000)]
    assert pieces.faults((50_000, 8), rows) is None
    assert "overlap" in str(pieces.faults((50_000, 8), [*rows, ((49_999, 0), (1, 8))]))
    stairs = [((n, n), (5000 - n, 1)) for n in range(5000)]
    assert "at most 4096" in str(pieces.faults((5000, 5000), stairs))
    assert pieces.faults((), [((), ())]) is None
    assert pieces.faults((), [((), ()), ((), ())]) == "two parts hold its one value"


def changed(folder: Path, change: Callable[[Any], None]) -> Path:
    metadata = pickle.loads((folder / ".metadata").read_bytes())
    change(next(iter(metadata.storage_data.values())))
    (folder / ".metadata").write_bytes(pickle.dumps(metadata))
    return folder


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "%2e%2e/x", "a\0b"])
def test_a_file_out_of_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(PolicyError):
        open_model(changed(save(tmp_path / "c", weights()), lambda info: setattr(info, "relative_path", path)))


@pytest.mark.parametrize(("field", "value"), [("offset", 1 << 62), ("offset", -1), ("length", 1 << 62), ("length", 3)])
def test_a_part_outside_its_file_is_refused(tmp_path: Path, field: str, value: int) -> None:
    with pytest.raises(FormatError):
        open_model(changed(save(tmp_path / "c", weights()), lambda info: setattr(info, field, value)))


class Evil:
    def __reduce__(self) -> Any:
        return (exec, ("raise SystemExit",))


def test_a_pickle_that_wants_more_is_refused_by_name(tmp_path: Path) -> None:
    folder = save(tmp_path / "c", weights())
    (folder / ".metadata").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(PolicyError, match=r"builtins\.exec"):
        open_model(folder)
    (folder / ".metadata").unlink()
    with pytest.raises(MissingError, match=r"no \.metadata"):
        open_model(folder)


def test_flipped_bytes_of_the_metadata_are_ours_to_tell(tmp_path: Path) -> None:
    folder = save(tmp_path / "c", weights())
    data = (folder / ".metadata").read_bytes()
    for at in np.random.default_rng(0).integers(0, len(data), 80).tolist():
        damaged = bytearray(data)
        damaged[at] ^= 1 << (at % 8)
        (folder / ".metadata").write_bytes(damaged)
        try:
            open_model(folder)
        except KaiboError:
            continue
