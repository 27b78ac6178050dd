"""Renders templates from strangers: run as a script of its own, bounded in time and memory, in Jinja's sandbox.

Reads a request a line from stdin, `{"how", "template", "rows", "seconds", "characters"}`, and answers each with a
line: `{"values"}`, one for each row, or `{"refused"}` (it tried to reach Python, or more than it may have),
`{"raised"}` (its own `raise_exception`) or `{"broken"}` (no valid template, or one that does not fit the row).
`how` is `chat` (as transformers renders), `task` (every name must be there) or `value` (one expression, its value).
Only the standard library and jinja2 are imported here.
"""

from __future__ import annotations

import datetime
import json
import re
import resource
import sys
from functools import cache
from typing import Any, NoReturn

from jinja2 import StrictUndefined, TemplateError, nodes
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


@cache
def task_environment() -> ImmutableSandboxedEnvironment:
    """Templates of tasks: no attribute that begins with an underscore, no files, every name known."""
    made = _Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    made.filters["unbracketed"] = _unbracketed
    return made


def _unbracketed(text: str) -> str:
    """The filter `unbracketed`: a text without what stands in square brackets. Takes time in step with the text."""
    return re.sub(r"\[[^\]\n]*+\]?", lambda found: "" if found[0].endswith("]") else found[0], text)


@cache
def _chat_environment() -> ImmutableSandboxedEnvironment:
    made = _Environment(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
    made.filters["tojson"] = _tojson
    made.globals["raise_exception"] = _raise
    made.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
    return made


@cache
def compiled(text: str) -> Any:
    """A task's template, ready to be rendered."""
    return task_environment().from_string(text)


@cache
def expression(text: str) -> Any:
    """A task's expression, ready to be called."""
    return task_environment().compile_expression(text, undefined_to_none=False)


def answered(request: dict[str, Any]) -> str:
    """The answer to a request, as a line of JSON."""
    try:
        return json.dumps({"values": list(_values(request))})
    except (SecurityError, RefusedError) as refused:
        return _told("refused", str(refused))
    except MemoryError:
        return _told("refused", "needs more memory than a template may have")
    except RecursionError:
        return _told("refused", "is nested too deeply")
    except RaisedError as raised:
        return _told("raised", str(raised))
    except TemplateError as broken:
        return _told("broken", f"{type(broken).__name__}: {broken}")
    except Exception as broken:  # noqa: BLE001 - whatever a stranger's template makes Jinja raise is its fault
        if isinstance(broken, TypeError) and "no loader" in str(broken):
            return _told("refused", "reads other files")
        return _told("broken", f"{type(broken).__name__}: {broken}")


def _told(what: str, said: str) -> str:
    return json.dumps({what: said[:1000]})


def _values(request: dict[str, Any]) -> Any:
    room, text = request["characters"], request["template"]
    if request["how"] == "value":
        yield from (expression(text)(**row) for row in request["rows"])
        return
    template = _chat_environment().from_string(text) if request["how"] == "chat" else compiled(text)
    for row in request["rows"]:
        parts = []
        for part in template.generate(**row):
            room -= len(part)
            if room < 0:
                raise RefusedError(f"writes more than {request['characters']:,} characters")
            parts.append(part)
        yield "".join(parts)


def _tojson(value: Any, indent: int | None = None, ensure_ascii: bool = False, **others: Any) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=ensure_ascii, **others)


def _raise(message: str) -> NoReturn:
    raise RaisedError(message)


def main() -> None:
    """Answers requests until there are no more; the first line of stdin says how many bytes of memory there are."""
    size = int(sys.stdin.readline())
    if sys.platform == "linux":  # macOS counts what is only reserved
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
    _write("ready")
    for line in sys.stdin:
        request = json.loads(line)
        used = resource.getrusage(resource.RUSAGE_SELF)
        allowed = int(used.ru_utime + used.ru_stime) + 1 + int(request["seconds"])
        resource.setrlimit(resource.RLIMIT_CPU, (allowed, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        _write(answered(request))


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
