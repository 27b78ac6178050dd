"""A table behind https://, fetched once and only because the user named it."""

from __future__ import annotations

import ipaddress
import random
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException, InvalidURL
from typing import Any

from kaibo.errors import FormatError, MissingError, NetworkError, PolicyError, UsageError
from kaibo.tables.files.text import LARGEST

TRIES = 4
SECONDS = 60.0
RETRIED = (408, 429, 500, 502, 503, 504)


def is_url(address: str) -> bool:
    """Whether an address is a URL.

    >>> is_url("https://example.org/a.csv"), is_url("a.csv")
    (True, False)
    """
    return address.split("://", 1)[0].lower() in ("http", "https", "ftp", "file", "s3") and "://" in address


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows at most five redirects, to https and to public hosts only."""

    max_redirections = 5

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        parts, newurl = _parsed(newurl)
        if parts.scheme != "https" or _private(parts.hostname or ""):
            raise PolicyError(f"{req.full_url} redirects to {newurl}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _private(host: str) -> bool:
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False  # the request itself will say that the host is unknown
    return any(not ipaddress.ip_address(str(address).split("%")[0]).is_global for address in found)


def _parsed(url: str) -> tuple[urllib.parse.SplitResult, str]:
    """The parts of an address, and the address in ASCII: host names in IDNA, the rest percent-encoded."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host.encode("utf-8")
        if not host or any(ord(character) <= 32 for character in url.strip()):
            raise ValueError("a host and no spaces were expected")
        ascii_host = host if host.isascii() else host.encode("idna").decode("ascii")
    except ValueError as error:  # also UnicodeError
        shown = f"{url.partition('://')[0]}://{url.partition('://')[2].rpartition('@')[2]}"  # no password in a message
        raise UsageError(f"{shown} is no address ({error})", next="is it written as https://host/path?") from error
    place = f"[{ascii_host}]" if ":" in ascii_host else ascii_host
    place += "" if port is None else f":{port}"
    path, query = (urllib.parse.quote(part, safe="/%:=&?~#+!$,;'@()*[]") for part in (parts.path, parts.query))
    return parts, urllib.parse.urlunsplit((parts.scheme, place, path, query, ""))


def fetch(url: str) -> tuple[bytes, str]:
    """The bytes behind a URL and the file name in it. https only.

    Raises PolicyError for other schemes and redirects elsewhere, MissingError for 401, 403, 404 and 410,
    NetworkError after retries, FormatError for more than the largest table.
    """
    if not url.lower().startswith("https://"):
        raise PolicyError(f"{url} is not https", next="download the file and name its path")
    parts, plain = _parsed(url)
    if parts.username or parts.password:
        raise PolicyError("a password in an address ends up in logs", next="download the file and name its path")
    opener = urllib.request.build_opener(_Redirects)
    deadline = time.monotonic() + SECONDS * TRIES
    for attempt in range(TRIES):
        try:
            request = urllib.request.Request(plain, headers={"Accept-Encoding": "identity", "User-Agent": "kaibo"})
            with opener.open(request, timeout=SECONDS) as answer:
                return _body(answer, url, deadline), urllib.parse.unquote(parts.path.rsplit("/", 1)[-1])
        except urllib.error.HTTPError as error:
            if error.code not in RETRIED:
                raise MissingError(f"the server answers {error.code} {error.reason}", file=url) from error
            _wait(attempt, url, f"the server answers {error.code}", dict(error.headers.items()))
        except InvalidURL as error:
            raise UsageError(f"no address: {error}", next="is it written as https://host/path?") from error
        except (OSError, HTTPException) as error:
            _wait(attempt, url, str(getattr(error, "reason", error)) or type(error).__name__)
    raise NetworkError("no answer", file=url)  # pragma: no cover - the last wait raises


def _body(answer: Any, url: str, deadline: float) -> bytes:
    blocks, size = [], 0
    while block := answer.read(1 << 20):
        blocks.append(block)
        size += len(block)
        if size > LARGEST:
            raise FormatError(f"more than {LARGEST:,} bytes", file=url)
        if time.monotonic() > deadline:
            raise NetworkError("the server is too slow", file=url, next="download the file and name its path")
    promised = answer.headers.get("Content-Length")
    if promised is not None and promised.isdigit() and int(promised) != size:
        raise OSError(f"{size:,} of {promised} bytes arrived")
    return b"".join(blocks)


def _wait(attempt: int, url: str, reason: str, headers: Mapping[str, str] | None = None) -> None:
    if attempt == TRIES - 1:
        raise NetworkError(f"{reason}, {TRIES} times", file=url, next="try again later")
    asked = (headers or {}).get("Retry-After") or ""
    time.sleep(min(float(asked) if asked.isdigit() else 0.5 * 2**attempt * (1 + random.random()), 30.0))
