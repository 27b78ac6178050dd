"""Renders one chat template from a stranger: run as a script of its own, bounded in time and memory, in a sandbox.

Reads `{"template", "variables", "conversations", "seconds", "bytes", "characters"}` from stdin and writes `{"texts"}`,
one for each conversation, or `{"refused"}` (it tried to reach Python, or more than it may have), `{"raised"}` (its own
`raise_exception`) or `{"broken"}` (no valid template).
Only the standard library and jinja2 are imported here.
"""

from __future__ import annotations

import datetime
import json
import resource
import sys
from typing import Any, NoReturn

from jinja2 import TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment


class RaisedError(Exception):
    """The template does not take this conversation."""


class RefusedError(Exception):
    """The template did what no template may."""


class _Generation(Extension):
    """`{% generation %}` … `{% endgeneration %}` of transformers: marks what the model says, and prints it as it is."""

    tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, which raises at once where an attribute is unsafe instead of printing nothing."""

    def unsafe_undefined(self, obj: Any, attribute: str) -> Any:
        raise SecurityError(f"reaches for {type(obj).__name__}.{attribute}")


def rendered(request: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request."""
    try:
        return {"texts": _render(request)}
    except (SecurityError, RefusedError) as refused:
        return {"refused": str(refused)}
    except MemoryError:
        return {"refused": "needs more memory than a template may have"}
    except RecursionError:
        return {"refused": "is nested too deeply"}
    except RaisedError as raised:
        return {"raised": str(raised)}
    except TemplateError as broken:
        return {"broken": f"{type(broken).__name__}: {broken}"}
    except Exception as broken:  # noqa: BLE001 - whatever a stranger's template makes Jinja raise is its fault
        reaches = isinstance(broken, TypeError) and "no loader" in str(broken)
        return {"refused": "reads other files"} if reaches else {"broken": f"{type(broken).__name__}: {broken}"}


def _render(request: dict[str, Any]) -> list[str]:
    environment = _Environment(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
    template, length = environment.from_string(request["template"]), 0
    texts = []
    for messages in request["conversations"]:
        parts = []
        for part in template.generate(**request["variables"], messages=messages):
            length += len(part)
            if length > request["characters"]:
                raise RefusedError(f"writes more than {request['characters']:,} characters")
            parts.append(part)
        texts.append("".join(parts))
    return texts


def _tojson(value: Any, indent: int | None = None, ensure_ascii: bool = False, **others: Any) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=ensure_ascii, **others)


def _raise(message: str) -> NoReturn:
    raise RaisedError(message)


def main() -> None:
    """Takes the request from stdin, bounds the process, answers on stdout."""
    request = json.load(sys.stdin)
    seconds, size = int(request["seconds"]), int(request["bytes"])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    if sys.platform == "linux":  # macOS counts what is only reserved
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
    json.dump(rendered(request), sys.stdout)


if __name__ == "__main__":
    main()
