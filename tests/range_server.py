"""A server of files on 127.0.0.1 that answers ranges, notes what it was asked, and fails as it is told."""

from __future__ import annotations

import gzip
import hashlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote

Fault = Callable[["Handler", bytes, int, int], bool]
"""What happens in place of an answer to bytes `start` to `stop` of a file; False where it is answered all the same."""


@dataclass(frozen=True)
class Request:
    """What was asked for: path, range (None: the whole file) and headers."""

    path: str
    range: tuple[int, int] | None
    headers: Mapping[str, str]
    host: str = ""


@dataclass
class Served:
    """A folder that is served under a URL. `trouble` says which fault meets a request, or None."""

    folder: Path
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    trouble: Callable[[Request], Fault | None] = lambda request: None
    tags: bool = True
    answer: Callable[[Handler, Request], bool] = lambda handler, request: False

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def __post_init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.served = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def __enter__(self) -> Served:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    served: Served

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing is printed."""

    @property
    def served(self) -> Served:
        return self.server.served  # type: ignore[attr-defined,no-any-return]

    def do_GET(self) -> None:
        said = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
        wanted = (int(said[0]), int(said[2]) + 1) if said[0].isdigit() else None
        request = Request(unquote(self.path), wanted, dict(self.headers.items()), self.headers.get("Host", ""))
        self.served.requests.append(request)
        if self.served.answer(self, request):
            return
        file = self.served.folder / request.path.lstrip("/")
        trouble = self.served.trouble(request)
        if not file.is_file():
            self.plain(404, b"not here")
            return
        size = file.stat().st_size
        start, stop = wanted or (0, size)
        stop = min(stop, size)
        if trouble is not None:
            with file.open("rb") as stream:
                stream.seek(start)
                if trouble(self, stream.read(stop - start), start, size):
                    return
        self.ranged(file, start, stop, size)

    def do_HEAD(self) -> None:
        file = self.served.folder / unquote(self.path).partition("?")[0].lstrip("/")
        self.served.requests.append(Request(unquote(self.path), None, dict(self.headers.items())))
        if file.is_file():
            self.head(200, {"Content-Length": str(file.stat().st_size), "ETag": self.tag(file)})
        else:
            self.head(404, {"Content-Length": "0"})

    def tag(self, file: Path) -> str:
        seen = file.stat()
        return f'"{seen.st_mtime_ns:x}-{seen.st_size:x}"'

    def ranged(self, file: Path, start: int, stop: int, size: int) -> None:
        tag = self.tag(file)
        if self.headers.get("If-Match", tag) != tag:
            self.plain(412, b"")
            return
        if start >= size:
            self.plain(416, b"", {"Content-Range": f"bytes */{size}"})
            return
        self.send_response(206)
        if self.served.tags:
            self.send_header("ETag", tag)
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        self.wfile.flush()
        with file.open("rb") as stream:
            self.connection.sendfile(stream, start, stop - start)

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def plain(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.head(status, {"Content-Length": str(len(body)), **(headers or {})})
        self.wfile.write(body)

    def partial(self, body: bytes, start: int, size: int, status: int = 206, **changes: str | None) -> dict[str, str]:
        """The headers of an honest answer, with some of them changed (None: left out)."""
        file = self.served.folder / unquote(self.path).lstrip("/")
        found = {
            "ETag": self.tag(file),
            "Content-Range": f"bytes {start}-{start + len(body) - 1}/{size}",
            "Content-Length": str(len(body)),
        }
        found |= {name.replace("_", "-"): value for name, value in changes.items() if value is not None}
        for name, value in changes.items():
            if value is None:
                found.pop(name.replace("_", "-"), None)
        self.head(status, found)
        return found

    def cut(self, *, reset: bool = False) -> None:
        """Ends the connection, with a reset where asked for."""
        self.close_connection = True
        self.wfile.flush()
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)


def status(code: int, headers: Mapping[str, str] | None = None) -> Fault:
    def fault(handler: Handler, body: bytes, start: int, size: int) -> bool:
        handler.plain(code, b"no", headers)
        return True

    return fault


def answer(**changes: str | None) -> Fault:
    """The right bytes under changed headers."""

    def fault(handler: Handler, body: bytes, start: int, size: int) -> bool:
        handler.partial(body, start, size, **changes)
        handler.wfile.write(body)
        handler.cut()
        return True

    return fault


def short(handler: Handler, body: bytes, start: int, size: int) -> bool:
    handler.partial(body, start, size)
    handler.wfile.write(body[: len(body) // 2])
    handler.cut()
    return True


def nothing(handler: Handler, body: bytes, start: int, size: int) -> bool:
    handler.partial(body, start, size)
    handler.cut()
    return True


def reset(handler: Handler, body: bytes, start: int, size: int) -> bool:
    handler.partial(body, start, size)
    handler.wfile.write(body[: len(body) // 3])
    handler.cut(reset=True)
    return True


def reset_at_once(handler: Handler, body: bytes, start: int, size: int) -> bool:
    handler.cut(reset=True)
    return True


def stalled(handler: Handler, body: bytes, start: int, size: int) -> bool:
    handler.partial(body, start, size)
    handler.wfile.write(body[:10])
    handler.wfile.flush()
    time.sleep(1.5)
    handler.cut()
    return True


def stalled_head(handler: Handler, body: bytes, start: int, size: int) -> bool:
    time.sleep(1.5)
    handler.cut()
    return True


def dripping(handler: Handler, body: bytes, start: int, size: int) -> bool:
    handler.partial(body, start, size)
    for at in range(10_000):
        handler.wfile.write(body[at : at + 1])
        handler.wfile.flush()
        time.sleep(0.05)
    return True


def dripping_head(handler: Handler, body: bytes, start: int, size: int) -> bool:
    for one in b"HTTP/1.1 206 Partial Content\r\n" + b"X-Filler: slow\r\n" * 1000:
        handler.wfile.write(bytes([one]))
        handler.wfile.flush()
        time.sleep(0.05)
    return True


def shifted(by: int) -> Fault:
    """Bytes of another place, and a head that says so."""

    def fault(handler: Handler, body: bytes, start: int, size: int) -> bool:
        handler.partial(body, start + by, size)
        handler.wfile.write(body)
        return True

    return fault


def whole(handler: Handler, body: bytes, start: int, size: int) -> bool:
    file = (handler.served.folder / unquote(handler.path).lstrip("/")).read_bytes()
    handler.partial(file, 0, size, status=200, Content_Range=None)
    handler.wfile.write(file)
    return True


def chunked(*, cut: bool) -> Fault:
    def fault(handler: Handler, body: bytes, start: int, size: int) -> bool:
        handler.partial(body, start, size, Content_Length=None, Transfer_Encoding="chunked")
        sent = body[: len(body) // 2] if cut else body
        handler.wfile.write(f"{len(sent):x}\r\n".encode() + sent + b"\r\n")
        if cut:
            handler.cut()
        else:
            handler.wfile.write(b"0\r\n\r\n")
        return True

    return fault


def zipped(handler: Handler, body: bytes, start: int, size: int) -> bool:
    packed = gzip.compress(body)
    handler.partial(body, start, size, Content_Encoding="gzip", Content_Length=str(len(packed)))
    handler.wfile.write(packed)
    return True


def page(handler: Handler, body: bytes, start: int, size: int) -> bool:
    handler.plain(200, b"<!doctype html><title>log in</title>" * 40, {"Content-Type": "text/html"})
    return True


def multipart(handler: Handler, body: bytes, start: int, size: int) -> bool:
    handler.plain(206, b"--x\r\n" + body[:100] + b"\r\n--x--", {"Content-Type": "multipart/byteranges; boundary=x"})
    return True


def garbage(handler: Handler, body: bytes, start: int, size: int) -> bool:
    handler.wfile.write(b"\x00\xff this is no HTTP\r\n\r\n")
    handler.cut()
    return True


def redirect(location: str, code: int = 302) -> Fault:
    return status(code, {"Location": location})


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
