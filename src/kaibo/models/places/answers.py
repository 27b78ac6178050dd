"""What a server answers to a range: believed only where range, length, size and state are those that were asked for."""

from __future__ import annotations

import http.client
import os
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from typing import NoReturn

from kaibo.errors import MissingError
from kaibo.models.places import Bytes
from kaibo.models.places.asking import DOWNLOAD, AbsentError, AgainError, WholeError, changed

RETRIED = (408, 425, 429, 500, 502, 503, 504)
BROKEN = (OSError, http.client.HTTPException, ValueError)
"""What the client raises where a connection breaks or its other end does not speak HTTP."""

_RANGE = re.compile(r"bytes (?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18})")


@dataclass
class Body:
    """The body of an answer as it arrives. `left` bytes are to come; None where the server does not say how many."""

    response: http.client.HTTPResponse
    connection: http.client.HTTPConnection
    keep: Callable[[http.client.HTTPConnection], None]
    left: int | None = None

    def __post_init__(self) -> None:
        length = self.response.headers.get("Content-Length", "")
        self.left = int(length) if length.isdigit() and not self.response.chunked else None

    def readinto(self, room: Bytes) -> int:
        """Some of the next bytes; 0 at the end. Raises AgainError where the connection breaks."""
        try:
            if self.left is None:
                found = self.response.read1(len(room))
                room[: len(found)] = found
                return len(found)
            got = self.response.fp.readinto1(room[: self.left]) if self.left else 0
        except BROKEN as problem:
            raise AgainError(what_broke(problem)) from None
        self.left -= got
        return got

    def close(self, *, broken: bool = False) -> None:
        """Lets go of the connection, which is used again where the body was read to its end."""
        done = self.left == 0 or (self.left is None and self.response.isclosed())
        self.response.close()
        if done and not broken and not self.response.will_close:
            self.keep(self.connection)
        else:
            self.connection.close()


class Answer:
    """One answered range, its bytes still to come: `start` to `stop` of a file of `size` bytes in the state `tag`.

    `page` tells a page of the web.
    """

    def __init__(self, body: Body, start: int, stop: int, size: int) -> None:
        self._body, self.start, self.stop, self.size = body, start, stop, size
        said = body.response.headers
        self.tag = said.get("ETag") or said.get("Last-Modified")
        self.page = said.get_content_type() == "text/html"

    def readinto(self, room: Bytes) -> int:
        """Some of the next bytes; 0 at the end. Raises AgainError where the connection breaks."""
        return self._body.readinto(room)

    def close(self) -> None:
        """Lets go of the connection."""
        self._body.close()


def what_broke(problem: BaseException) -> str:
    """What happened, without anything that the other side wrote."""
    if isinstance(problem, TimeoutError):
        return "did not answer in time"
    if isinstance(problem, socket.gaierror):
        return "the host is not known"
    if isinstance(problem, ssl.SSLError):
        return f"no secure connection ({problem.reason or type(problem).__name__})"
    if isinstance(problem, OSError) and problem.errno:
        return os.strerror(problem.errno).lower()
    return "the connection broke"


def answered(body: Body, name: str, start: int, stop: int, tag: str | None) -> Answer:
    """The answer to a range, if it is one; else its connection is closed.

    Raises AgainError for what may pass, AbsentError and MissingError for refusals, FormatError for a changed file.
    """
    try:
        found = _checked(body, name, start, stop)
        if tag is not None and found.tag != tag:
            changed(name, "its ETag is another one by now")
    except BaseException:
        body.close(broken=True)
        raise
    return found


def _checked(body: Body, name: str, start: int, stop: int) -> Answer:
    status, headers = body.response.status, body.response.headers
    said = _RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if status == 416 and start == 0 and said is not None and said[3] == "0":
        return Answer(body, 0, 0, 0)
    if status not in (200, 206):
        refuse(status, headers, name)
    if headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
        raise AgainError("answers with a packed body (Content-Encoding)")
    if status == 200:
        if start or body.left is None:
            raise WholeError("answers with the whole file where a part of it was asked for")
        return Answer(body, 0, min(stop, body.left), body.left)
    if said is None or said[1] is None:
        raise AgainError("answers a range without saying which one (Content-Range)")
    begin, end, size = int(said[1]), int(said[2]) + 1, int(said[3])
    if begin != start or end != min(stop, size) or end <= begin:
        raise AgainError(f"answers another range than the one from {start} to {stop}")
    if body.left not in (None, end - begin):
        raise AgainError(f"answers a range of {end - begin} bytes with {body.left}")
    return Answer(body, begin, end, size)


def refuse(status: int, headers: Message, name: str) -> NoReturn:
    """Raises the error for a status that is no answer."""
    if status in RETRIED:
        asked = headers.get("Retry-After", "")
        raise AgainError(f"the server answers {status}", float(asked) if asked.isdigit() else None)
    if status in (404, 410):
        raise AbsentError("no such file", file=name, next="is the address right?")
    if status == 412:
        changed(name, "its ETag is another one by now")
    if status == 416:
        changed(name, "it is shorter by now")
    if status in (401, 403):
        raise MissingError(f"may not be read (the server answers {status})", file=name, next=DOWNLOAD)
    raise MissingError(f"the server answers {status}", file=name, next=DOWNLOAD)
