"""Whatever a server does to whichever range: the bytes are right, or there is one line with the right exit code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import range_server as at
from kaibo.errors import KaiboError
from kaibo.models import open_model
from kaibo.models.places import far, remote
from kaibo.testing.models import write_safetensors
from range_server import Fault, Request, Served

ROWS = 300
AWAY = "http://127.0.0.2:9/x"

FAULTS: dict[str, tuple[Fault, int | None, int]] = {
    # fault: what happens, the exit code where it happens once (None: it is survived), the exit code where it stays
    "503": (at.status(503), None, 5),
    "500": (at.status(500), None, 5),
    "502": (at.status(502), None, 5),
    "504": (at.status(504), None, 5),
    "408": (at.status(408), None, 5),
    "429 with Retry-After": (at.status(429, {"Retry-After": "0"}), None, 5),
    "503 with a long Retry-After": (at.status(503, {"Retry-After": "9999"}), 5, 5),
    "429 with a Retry-After that is a date": (at.status(429, {"Retry-After": "Mon, 30 Nov 2026"}), None, 5),
    "short body": (at.short, None, None),
    "no body": (at.nothing, None, 5),
    "reset in the body": (at.reset, None, None),
    "reset at once": (at.reset_at_once, None, 5),
    "stalled body": (at.stalled, None, None),
    "stalled head": (at.stalled_head, None, 5),
    "1 byte at a time": (at.dripping, 5, 5),
    "head 1 byte at a time": (at.dripping_head, 5, 5),
    "Content-Length too long": (at.answer(Content_Length="99999999"), None, 5),
    "Content-Length too short": (at.answer(Content_Length="7"), None, 5),
    "Content-Length that is none": (at.answer(Content_Length="-5"), None, 0),
    "no Content-Length": (at.answer(Content_Length=None), None, 0),
    "chunked": (at.chunked(cut=False), None, 0),
    "chunked and cut": (at.chunked(cut=True), None, None),
    "gzip": (at.zipped, None, 5),
    "another start": (at.shifted(8), None, 5),
    "an earlier start": (at.shifted(-1), None, 5),
    "no Content-Range": (at.answer(Content_Range=None), None, 5),
    "Content-Range of nonsense": (at.answer(Content_Range="bytes all/of it"), None, 5),
    "Content-Range of unknown size": (at.answer(Content_Range="bytes 0-9/*"), None, 5),
    "multipart": (at.multipart, None, 5),
    "no HTTP": (at.garbage, None, 5),
    "the whole file": (at.whole, None, 4),
    "page to log in": (at.page, None, 4),
    "another ETag": (at.answer(ETag='"other"'), 3, 3),
    "a weak ETag": (at.answer(ETag='W/"other"'), 3, 3),
    "no ETag": (at.answer(ETag=None), 3, 3),
    "412": (at.status(412), 3, 3),
    "416": (at.status(416), 3, 3),
    "401": (at.status(401), 4, 4),
    "403": (at.status(403), 4, 4),
    "404": (at.status(404), 4, 4),
    "400": (at.status(400), 4, 4),
    "redirect to file:": (at.redirect("file:///etc/passwd"), 7, 7),
    "redirect to ftp:": (at.redirect("ftp://example.org/x"), 7, 7),
    "redirect to nowhere": (at.status(302), 7, 7),
    "redirect to loopback": (at.redirect(AWAY), 7, 7),
    "redirect to a private address": (at.redirect("http://10.0.0.1/x"), 7, 7),
    "redirect to link-local": (at.redirect("http://169.254.169.254/latest/meta-data"), 7, 7),
    "redirect with a password": (at.redirect("http://user:pass@127.0.0.1/x"), 7, 7),
    "redirect to itself": (at.redirect("/m.safetensors"), None, 7),
}
HEAD: dict[str, tuple[int | None, int | None]] = {
    # At the head nothing is known of the file yet: a state is what it is, and a whole file begins where it begins.
    "another ETag": (3, 3),
    "a weak ETag": (3, 3),
    "no ETag": (None, 0),
    "416": (3, 3),
    "the whole file": (None, 0),
    "page to log in": (3, 3),
}
SURVIVED = (None, 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    random = np.random.default_rng(0)
    tensors = {
        f"model.layers.{i}.mlp.up_proj.weight": ("BF16", (ROWS, 1024), random.bytes(ROWS * 2048)) for i in range(12)
    }
    write_safetensors(folder / "m.safetensors", tensors)
    return folder


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAIBO_NETWORK_SECONDS", "0.9")
    monkeypatch.setattr(far, "FRESH", -1.0)


def values(address: str) -> dict[str, bytes]:
    buffer = np.empty(200_000, np.uint8)
    return {
        tensor.name: b"".join(chunk.tobytes() for chunk in tensor.chunks(buffer))
        for tensor in open_model(address).tensors
    }


class Trouble:
    """One fault at one position: the head, or the first, a middle or the last range of the tensors' bytes."""

    def __init__(self, fault: Fault, position: str, times: int) -> None:
        self.fault, self.position, self.times, self.met = fault, position, times, 0
        self.size = 8 + ROWS * 2048 * 12

    def __call__(self, request: Request) -> Fault | None:
        assert request.range is not None, "only ranges are asked for"
        start, stop = request.range
        if start == 0:
            position = "head"
        elif stop >= self.size:
            position = "last"
        else:
            position = "first" if start < ROWS * 2048 else "middle"
        if position != self.position or self.met >= self.times:
            return None
        self.met += 1
        return self.fault


def outcome(folder: Path, fault: Fault, position: str, times: int, expected: dict[str, bytes]) -> int:
    """0 where every byte was right, else the exit code of the one line."""
    with Served(folder) as served:
        served.trouble = trouble = Trouble(fault, position, times)
        found, problem = tried(f"{served.url}/m.safetensors")
    assert trouble.met
    if problem is None:
        assert found == expected, "wrong bytes"
        return 0
    assert "\n" not in problem.line
    assert problem.line.startswith(served.url)
    return problem.exit


def tried(address: str) -> tuple[dict[str, bytes], KaiboError | None]:
    try:
        return values(address), None
    except KaiboError as problem:
        return {}, problem


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True], ids=["pages", "streams"])
@pytest.mark.parametrize("position", ["head", "first", "middle", "last"])
def test_no_fault_at_any_range_gives_wrong_bytes(
    position: str, stream: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if stream:
        monkeypatch.setattr(remote, "STREAM", 0)
        monkeypatch.setattr(remote, "RANGE", 1 << 17)
    expected = values(str(folder / "m.safetensors"))
    wrong = []
    for name, (fault, once, always) in FAULTS.items():
        if position == "head":
            once, always = HEAD.get(name, (once, always))
        for times, wanted in ((1, once), (10_000, always)):
            found = outcome(folder, fault, position, times, expected)
            if found != (wanted or 0) and not (times > 1 and wanted is None and found == 5):
                wrong.append(f"{name}, {'once' if times == 1 else 'always'}: {found}, not {wanted or 0}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ["503", "short body", "reset in the body", "gzip", "another start"])
def test_a_range_that_broke_is_asked_for_again(name: str, folder: Path) -> None:
    expected = values(str(folder / "m.safetensors"))
    assert outcome(folder, FAULTS[name][0], "middle", 1, expected) == 0


@pytest.mark.parametrize(
    ("name", "exit"), [("another ETag", 3), ("404", 4), ("503 with a long Retry-After", 5), ("redirect to loopback", 7)]
)
def test_what_cannot_be_mended_is_one_line_with_its_exit_code(name: str, exit: int, folder: Path) -> None:  # noqa: A002
    assert outcome(folder, FAULTS[name][0], "last", 1, {}) == exit
