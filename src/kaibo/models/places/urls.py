"""Addresses of the web: checked before anybody is asked, and where a redirect may lead."""

from __future__ import annotations

import ipaddress
import socket
import urllib.request
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urljoin, urlsplit, urlunsplit

from kaibo.errors import PolicyError, UsageError
from kaibo.models.places.asking import DOWNLOAD

PORTS = {"http": 80, "https": 443}
_PATH, _QUERY = "/%:=&~+!$,;'@()*", "%:=&?~/+!$,;'@()*[]"


@dataclass(frozen=True)
class Origin:
    """Where a request goes: scheme, host, port."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """The origin of an address that was checked."""
        parts = urlsplit(url)
        return cls(parts.scheme, parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0))


def checked_url(address: str) -> str:
    """An address in ASCII: host in IDNA, path percent-encoded. Raises UsageError for none, or one with a secret."""
    try:
        parts = urlsplit(address)
        plain = _plain(parts)
    except ValueError:  # also UnicodeError
        raise UsageError("is no address of the web", next="write it as https://host/folder") from None
    if parts.username or parts.password or parts.query or parts.fragment:
        message = "has a password or a query (?…) in it, which would stand in every row and log"
        next_step = "name it without, or download the folder"
        raise UsageError(message, file=f"{parts.scheme}://{parts.hostname}/…", next=next_step)
    return plain


def _plain(parts: SplitResult) -> str:
    """The same address in ASCII, without a user. Raises ValueError for what is none."""
    host, port = parts.hostname or "", parts.port
    if not host or parts.scheme.lower() not in PORTS or any(ord(one) <= 32 for one in parts.geturl()):
        raise ValueError("no address of the web")
    host = host if host.isascii() else host.encode("idna").decode("ascii")
    place = f"[{host}]" if ":" in host else host
    place += "" if port is None else f":{port}"
    path, query = quote(parts.path or "/", safe=_PATH), quote(parts.query, safe=_QUERY)
    return urlunsplit((parts.scheme.lower(), place, path, query, ""))


def redirected(url: str, location: str, home: Origin, name: str) -> str:
    """Where a redirect from `url` leads, looked at before anybody is asked. Raises PolicyError where it may not."""
    try:
        parts = urlsplit(urljoin(url, location.strip()))
        found = _plain(parts)
    except ValueError:
        found = ""
    if not found or not location or parts.username or parts.password:
        raise PolicyError("redirects to what is no address of the web", file=name, next=DOWNLOAD)
    origin = Origin.of(found)
    if origin.scheme == "http" and url.startswith("https:"):
        raise PolicyError(f"redirects from https to http ({origin.host})", file=name, next=DOWNLOAD)
    try:
        literal = {str(ipaddress.ip_address(origin.host))}
    except ValueError:  # a name, looked at when it is resolved
        literal = set()
    check_public(origin, literal, home, name)
    return found


def check_public(origin: Origin, addresses: set[str], home: Origin, name: str) -> None:
    """Raises PolicyError where some address is not public and not that of the host that the user named."""
    private = {one for one in addresses if not ipaddress.ip_address(one.split("%")[0]).is_global}
    if origin.host != home.host and private and not private <= _addresses(home.host):
        message = f"redirects to {origin.host}, which is no public address"
        raise PolicyError(message, file=name, next="name that host itself if you trust it")


def _addresses(host: str) -> set[str]:
    try:
        return {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return set()


def proxy_of(origin: Origin) -> Origin | None:
    """The proxy that the environment names for a host, None where there is none. Raises UsageError for a bad one."""
    said = urllib.request.getproxies().get(origin.scheme)
    if not said or urllib.request.proxy_bypass(origin.host):
        return None
    parts = urlsplit(said if "://" in said else f"http://{said}")
    try:
        if parts.scheme != "http" or not parts.hostname or parts.username:
            raise ValueError
        return Origin("http", parts.hostname, parts.port or 80)
    except ValueError:
        raise UsageError(f"{origin.scheme}_proxy is not of the form http://host:port") from None
