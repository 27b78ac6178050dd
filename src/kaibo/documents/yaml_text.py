"""YAML as Python values, built from the parser's events: no tags, no code, no bombs, and the line of every key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NoReturn

from kaibo.documents.json_text import DEPTH
from kaibo.documents.reading import YAML_LIMIT, Path, place, read_text
from kaibo.documents.strict_json import DIGITS, too_many
from kaibo.documents.toml_text import Lines
from kaibo.errors import FormatError, missing_extra

VALUES = 1 << 16
"""Values that a document may have, with those behind `*aliases` counted each time."""

_MERGE = "<<"


@dataclass(frozen=True)
class Yaml:
    """What a YAML text says, and on which line each key stands."""

    value: Any
    lines: Lines = field(repr=False)


def read_yaml(path: Path, advice: str | None = None) -> Yaml:
    """The value of a YAML file. Raises as `read_text` and `yaml_value` do."""
    return yaml_value(read_text(path, YAML_LIMIT, advice), path)


def yaml_value(text: str, file: Path) -> Yaml:
    """The value of a YAML text, dates as text.

    Raises FormatError with line and column for what is not YAML, a tag, a key that is not a scalar or comes twice,
    nesting deeper than `DEPTH`, and aliases that multiply; MissingError where PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError as absent:
        raise missing_extra("merge", "YAML files") from absent
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        return _Builder(file, iter(loader.get_event, None)).document()
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
        raise FormatError(f"is not YAML: {where}: {wrong.problem or wrong.context}", file=file) from wrong
    except yaml.reader.ReaderError as wrong:
        raise FormatError(f"is not YAML: {place(text, wrong.position)}: {wrong.reason}", file=file) from wrong
    except (ValueError, OverflowError, RecursionError) as wrong:  # an escape or a directive beyond what Python has
        where = f"line {loader.line + 1}, column {loader.column + 1}: " if loader else ""
        raise FormatError(f"is not YAML: {where}{wrong}", file=file) from wrong


class _Builder:
    """Turns events into one value."""

    def __init__(self, file: Path, events: Iterator[Any]) -> None:
        self._file, self._events = file, events
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._lines: Lines = {}
        self._count = 0

    def document(self) -> Yaml:
        """The one document of the stream; None where there is none."""
        import yaml

        value, seen = None, False
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if seen:
                    self._fail(event, "a second document; one is read")
                seen, value = True, self._value(next(self._events), (), DEPTH)
        return Yaml(value, self._lines)

    def _fail(self, event: Any, message: str) -> NoReturn:
        mark = event.start_mark
        raise FormatError(f"is not YAML: line {mark.line + 1}, column {mark.column + 1}: {message}", file=self._file)

    def _value(self, event: Any, path: tuple[str | int, ...], depth: int) -> Any:
        import yaml

        before = self._count
        self._counted(event, 1)
        self._lines[path] = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if event.tag not in (None, "!"):
            self._fail(event, f"the tag {event.tag}; tags are not read")
        if depth == 0:
            self._fail(event, "nested too deeply")
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._sequence(path, depth)
        else:
            value = self._mapping(path, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = value, self._count - before
        return value

    def _counted(self, event: Any, values: int) -> None:
        self._count += values
        if self._count > VALUES:
            self._fail(event, f"more than {VALUES:,} values, aliases counted each time")

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            self._fail(event, f"the alias *{event.anchor} before its anchor")
        value, size = self._anchors[event.anchor]
        self._counted(event, size)
        return value

    def _sequence(self, path: tuple[str | int, ...], depth: int) -> list[Any]:
        import yaml

        values: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            values.append(self._value(event, (*path, len(values)), depth - 1))
        return values

    def _mapping(self, path: tuple[str | int, ...], depth: int) -> dict[str, Any]:
        import yaml

        values: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        while not isinstance(key := next(self._events), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent) or key.tag not in (None, "!"):
                self._fail(key, "a key that is not a plain text")
            if key.value in values:
                self._fail(key, f'the key "{key.value}" comes twice')
            value = self._value(next(self._events), (*path, key.value), depth - 1)
            self._lines[*path, key.value] = key.start_mark.line + 1
            if key.value == _MERGE and key.style is None:
                merged |= self._merged(key, value)
            else:
                values[key.value] = value
        return merged | values

    def _merged(self, key: Any, value: Any) -> dict[str, Any]:
        """What `<<` brings: a mapping, or several of which the first one counts."""
        several = value if isinstance(value, list) else [value]
        if not all(isinstance(one, dict) for one in several):
            self._fail(key, "<< merges mappings only")
        return {name: one[name] for one in reversed(several) for name in one}

    def _scalar(self, event: Any) -> Any:
        import yaml

        text: str = event.value
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._fail(event, "half a character")
        kind = _resolver().resolve(yaml.ScalarNode, text, event.implicit)
        make = _constructors().get(kind)
        if make is None:
            return text
        if len(text) > DIGITS:
            self._fail(event, too_many(len(text)))
        try:
            return make(yaml.ScalarNode(kind, text))
        except (ValueError, OverflowError, IndexError, KeyError):
            return text


@cache
def _resolver() -> Any:
    import yaml

    return yaml.resolver.Resolver()


@cache
def _constructors() -> dict[str, Any]:
    """How YAML 1.1 reads a plain word, for the kinds that are not text."""
    import yaml

    made = yaml.constructor.SafeConstructor()
    kinds = {
        "null": made.construct_yaml_null,
        "bool": made.construct_yaml_bool,
        "int": made.construct_yaml_int,
        "float": made.construct_yaml_float,
    }
    return {f"tag:yaml.org,2002:{name}": make for name, make in kinds.items()}
