"""HTTP as kaibo uses it: a range is asked for, redirects are looked at one by one, the answer's head is checked.

The standard library's client, so that nothing is installed for it and every hop is ours to judge: to http and https
only, never from https to http, five hops at most, and to an address that is not public only where the user named that
very host.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from email.message import Message
from functools import lru_cache, partial
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from kaibo.errors import PolicyError
from kaibo.models.places.answers import BROKEN, Answer, Body, answered, what_broke
from kaibo.models.places.asking import AgainError, patience
from kaibo.models.places.urls import Origin, check_public, proxy_of, redirected

MOST_HOPS, MOST_IDLE = 5, 16
_MOVED = (301, 302, 303, 307, 308)
_RAN_OUT = (401, 403, 404, 410)
_UNREACHABLE = (101, 113, 51, 65)  # ENETUNREACH and EHOSTUNREACH of Linux and of macOS
Connection = http.client.HTTPConnection
Heard = Callable[[str, Message], None]
"""What a host says in the head of an answer to a URL."""


class _Socket(socket.socket):
    """Closed when nobody needs it any more, in whatever order a circle of owners is taken apart."""

    def __del__(self) -> None:
        if self.fileno() >= 0:
            socket.close(self.detach())


class Wire:
    """Connections to the hosts that one place leads to. `home` is the URL that the user named.

    `met` says whether anybody has answered. `private` are headers for the origin of `home` and nobody else, `heard` is
    told what that origin answers, redirects and refusals included; it names states by its URLs, so none is asked for.
    """

    def __init__(self, home: str, private: Mapping[str, str] | None = None, heard: Heard | None = None) -> None:
        self._home, self._private, self._heard = Origin.of(home), dict(private or {}), heard
        self._idle: dict[Origin, list[Connection]] = {}
        self._lock = threading.Lock()
        self._moved: dict[str, str] = {}
        self.met = False

    def __del__(self) -> None:
        for connection in (one for held in self._idle.values() for one in held):
            connection.close()

    def ask(self, url: str, name: str, start: int, stop: int, tag: str | None, seconds: float) -> Answer:
        """Bytes `start` to `stop` of a URL, as long as its state is `tag` (None: whatever it is).

        Raises AgainError for what may pass, AbsentError for 404, MissingError for other refusals, FormatError where the
        file is another one by now, PolicyError for a redirect that is not followed.
        """
        where = self._moved.get(url, url)
        headers = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity", "User-Agent": "kaibo"}
        match = {"If-Match": tag} if tag is not None and tag.startswith('"') else {}  # a weak one never matches
        for _ in range(MOST_HOPS + 1):
            at_home = Origin.of(where) == self._home
            asked = {**headers, **(self._private if at_home else {}), **({} if at_home and self._heard else match)}
            body = self._request(where, name, asked, seconds)
            if at_home and self._heard is not None:
                self._heard(url, body.response.headers)
            if body.response.status in _MOVED:
                location = body.response.headers.get("Location", "")
                _forgo(body)
                where = redirected(where, location, self._home, name)
                continue
            if body.response.status in _RAN_OUT and self._moved.get(url) == where:
                body.close(broken=True)
                self._moved.pop(url, None)
                raise AgainError("the address that it led to ran out", 0.0)
            found = answered(body, name, start, stop, tag)
            if where != url:
                self._moved[url] = where
            return found
        raise PolicyError(f"redirects more than {MOST_HOPS} times", file=name)

    def _request(self, url: str, name: str, headers: Mapping[str, str], seconds: float) -> Body:
        origin = Origin.of(url)
        proxy, parts = proxy_of(origin), urlsplit(url)
        target = url if proxy and origin.scheme == "http" else urlunsplit(("", "", parts.path, parts.query, ""))
        while True:
            connection, fresh = self._connection(origin, proxy, name, seconds)
            try:
                with _bounded(connection, seconds):
                    connection.request("GET", target, headers=dict(headers))
                    response = connection.getresponse()
            except BROKEN as problem:
                connection.close()
                if fresh or isinstance(problem, TimeoutError):
                    raise AgainError(what_broke(problem)) from None
                continue  # it had been idle for too long
            self.met = True
            return Body(response, connection, partial(self._keep, origin))

    def _keep(self, origin: Origin, connection: Connection) -> None:
        """Puts a connection aside for the next request."""
        with self._lock:
            held = self._idle.setdefault(origin, [])
            if len(held) < MOST_IDLE:
                held.append(connection)
                return
        connection.close()

    def _connection(self, origin: Origin, proxy: Origin | None, name: str, seconds: float) -> tuple[Connection, bool]:
        """A connection to an origin, and whether it was made for this request."""
        with self._lock:
            held = self._idle.get(origin)
            if held:
                return held.pop(), False
        where = proxy or origin
        stall = min(seconds, patience() / 3)
        if origin.scheme == "https":
            made: Connection = http.client.HTTPSConnection(
                where.host, where.port, timeout=stall, context=_context(), blocksize=1 << 20
            )
            if proxy:
                made.set_tunnel(origin.host, origin.port)
        else:
            made = Connection(where.host, where.port, timeout=stall, blocksize=1 << 20)
        checked = None if proxy else origin
        made._create_connection = partial(self._connected, checked, name)  # type: ignore[attr-defined]
        try:
            made.connect()
        except BROKEN as problem:
            made.close()
            refused = isinstance(problem, socket.gaierror | ConnectionRefusedError)
            away = refused or getattr(problem, "errno", None) in _UNREACHABLE
            raise AgainError(what_broke(problem), away=away) from None
        return made, True

    def _connected(
        self, origin: Origin | None, name: str, where: tuple[str, int], timeout: Any, source: Any = None
    ) -> socket.socket:
        """A connection to one of the very addresses that were looked at."""
        found = socket.getaddrinfo(where[0], where[1], type=socket.SOCK_STREAM)
        if origin is not None:
            check_public(origin, {str(entry[4][0]) for entry in found}, self._home, name)
        problem: OSError | None = None
        for family, kind, protocol, _, address in found:
            made = _Socket(family, kind, protocol)
            try:
                made.settimeout(timeout)
                made.connect(address)
            except OSError as failed:
                made.close()
                problem = failed
            else:
                return made
        raise problem or OSError("no address")


@lru_cache(1)
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()


def _forgo(body: Body) -> None:
    """Reads what stands in a redirect, where that is little, so that the connection can be used again."""
    if body.left is not None and body.left <= 1 << 16:
        room = memoryview(bytearray(body.left or 1))
        with suppress(AgainError):
            while body.left and body.readinto(room):
                pass
    body.close()


@contextmanager
def _bounded(connection: Connection, seconds: float) -> Iterator[None]:
    """However slowly a head drips, the connection is cut after so many seconds."""

    def cut() -> None:
        if connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
