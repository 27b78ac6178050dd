"""Local files as places: what may be read, and what happens when a file changes under its reader."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from kaibo.errors import FormatError, KaiboError, MissingError, PolicyError, UsageError
from kaibo.models import open_model
from kaibo.models.places.folder import DESCRIPTOR_LIMIT, DESCRIPTORS, LocalFile
from kaibo.testing import sparse_model, tiny_model
from measured import no_hang


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "x.bin"
    path.write_bytes(bytes(range(256)) * 16)
    return path


def test_a_place_answers_by_range(path: Path) -> None:
    place = LocalFile(str(path))
    buffer = np.empty(5, np.uint8)
    place.read_into(254, buffer)
    assert (place.size, place.read(254, 4)) == (4096, b"\xfe\xff\x00\x01")
    assert buffer.tobytes() == b"\xfe\xff\x00\x01\x02"
    assert place.read(4096, 0) == b""


@pytest.mark.parametrize(("start", "size"), [(4090, 7), (5000, 1), (-1, 1), (0, 1 << 60), (1 << 63, 1)])
def test_more_than_the_file_holds_is_refused_before_anything_is_allocated(path: Path, start: int, size: int) -> None:
    with pytest.raises(FormatError, match="ends at 4096"):
        LocalFile(str(path)).read(start, size)


def cut(path: Path) -> None:
    os.truncate(path, 100)


def grown(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def rewritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"other")
    os.utime(path, ns=(1, 1))  # in case the clock has not ticked since the file was made


def replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    status = path.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(other, path)


def removed(path: Path) -> None:
    path.unlink()


def now_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def now_a_link(path: Path) -> None:
    moved = path.rename(path.with_name("moved"))
    path.symlink_to("/dev/zero")
    assert moved.exists()


CHANGES = [cut, grown, rewritten, replaced, removed, now_a_pipe, now_a_link]


@pytest.mark.parametrize("warm", [True, False], ids=["open", "not open yet"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_between_two_reads_is_an_error(
    path: Path, change: Callable[[Path], None], warm: bool
) -> None:
    place = LocalFile(str(path), name="./x.bin")
    if warm:
        place.read(0, 1)
    change(path)
    for read in (lambda: place.read(0, 50), lambda: place.read_into(0, np.empty(50, np.uint8))):
        with pytest.raises(FormatError, match=r"changed while reading|cut") as caught:
            read()
        assert caught.value.file == "./x.bin"


@pytest.mark.parametrize("change", CHANGES)
def test_a_model_that_changes_after_its_header_was_read_gives_no_values(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    model = open_model(tiny_model(tmp_path / "m"))
    change(tmp_path / "m" / "model.safetensors")
    with pytest.raises(FormatError, match="changed while reading"):
        list(model.tensors[0].chunks(np.empty(1 << 16, np.uint8)))


def test_a_link_that_is_pointed_elsewhere_is_noticed(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(b"0123456789")
    link = tmp_path / "link"
    link.symlink_to("a")
    place = LocalFile(str(link))
    link.unlink()
    link.symlink_to("b")
    with pytest.raises(FormatError, match="another file was put in its place"):
        place.read(0, 4)


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[dict[str, Path]]:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "s"))
    yield {
        "pipe": tmp_path / "pipe",
        "folder": tmp_path / "folder",
        "socket": tmp_path / "s",
        "zero": Path("/dev/zero"),
    }
    server.close()


def test_what_is_no_regular_file_is_refused_at_once(odd: dict[str, Path]) -> None:
    for path in odd.values():
        with no_hang(), pytest.raises(FormatError, match="not a regular file"):
            LocalFile(str(path))


def test_pipes_and_devices_given_as_models_are_refused_at_once(tmp_path: Path, odd: dict[str, Path]) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    os.mkfifo(folder / "model.safetensors")
    (tmp_path / "dir.safetensors").mkdir()
    for address in (odd["pipe"], odd["zero"], odd["socket"], folder, tmp_path / "dir.safetensors"):
        with no_hang(), pytest.raises(FormatError):
            open_model(address)


def test_what_is_absent_or_unreadable_is_missing(tmp_path: Path, path: Path) -> None:
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(MissingError, match="no such file"):
        LocalFile(str(tmp_path / "nowhere"))
    with pytest.raises(MissingError, match="not there"):
        LocalFile(str(tmp_path / "dangling"))
    with pytest.raises(MissingError):
        LocalFile(str(tmp_path / ("n" * 5000)))
    with pytest.raises(MissingError):
        LocalFile(str(path / "below a file"))
    with pytest.raises(PolicyError, match="leads back"):
        LocalFile(str(tmp_path / "loop"))
    with pytest.raises(UsageError):
        LocalFile("a\0b")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_missing(path: Path) -> None:
    path.chmod(0)
    with pytest.raises(MissingError, match="Permission denied"):
        LocalFile(str(path))


def test_one_place_serves_many_threads(path: Path) -> None:
    place = LocalFile(str(path))

    def read(start: int) -> bool:
        buffer = np.empty(16, np.uint8)
        place.read_into(start, buffer)
        return buffer.tobytes() == bytes((start + n) % 256 for n in range(16))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, list(range(0, 4000, 7)) * 4))


def test_many_files_need_few_descriptors(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    places = []
    for number in range(400):
        (tmp_path / str(number)).write_bytes(b"%04d" % number)
        places.append(LocalFile(str(tmp_path / str(number))))
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + DESCRIPTOR_LIMIT // 2, hard))
    try:
        for _ in range(2):
            assert [place.read(0, 4) for place in places] == [b"%04d" % number for number in range(400)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert DESCRIPTORS.count <= DESCRIPTOR_LIMIT
    places.clear()
    LocalFile(str(tmp_path / "0")).read(0, 4)
    assert DESCRIPTORS.count <= 2 + DESCRIPTOR_LIMIT // 4


def test_equal_keys_mean_the_same_bytes(path: Path) -> None:
    before = LocalFile(str(path)).key
    assert LocalFile(str(path)).key == before
    rewritten(path)
    assert LocalFile(str(path)).key != before


def test_a_sparse_model_is_streamed_with_flat_memory(tmp_path: Path) -> None:
    model = open_model(sparse_model(tmp_path / "s", 6, 3))
    tensor = model.tensors[-1]
    assert sum(tensor.size for tensor in model.tensors) * 2 == 6 << 30
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    buffer = np.empty(1 << 20, np.uint8)
    assert not any(part.any() for part in tensor.chunks(buffer))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < tensor.size * 2 / 1024 / 50  # KiB


AWKWARD = ["-rf", " ", "a b", "日本語", "new\nline", "ü" * 60, "[x]*?", "$HOME", "~", "%2e", "caf\udce9", "\x1b[31m"]


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_names_of_folders_and_files_work(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny_model(tmp_path / name)
    assert len(open_model(folder).tensors) == 21
    file = (folder / "model.safetensors").rename(folder / (name + ".safetensors"))
    assert len(open_model(file).tensors) == len(open_model(folder).tensors) == 21
    monkeypatch.chdir(tmp_path)
    assert open_model(name).name == name
    with pytest.raises(KaiboError) as caught:
        open_model(name + "/absent")
    caught.value.line.encode("utf-8")
