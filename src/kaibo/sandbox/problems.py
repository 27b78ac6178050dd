"""Problems as they are published: HumanEval, MBPP, EvalPlus's extra tests, and one's own in any of these forms."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kaibo.errors import FormatError, MissingError
from kaibo.sandbox.inside.plain import written
from kaibo.sandbox.tuples import with_tuples

LARGEST = 1 << 30
"""Bytes of a file of problems or samples, unpacked."""
LONGEST = 64 << 20
"""Bytes of one line of it."""


@dataclass(frozen=True)
class Problem:
    """One problem: what a model is shown, and what its sample must do.

    `form` says how it is judged: "check" (a test that defines `check(candidate)`), "asserts" (a list of asserts) or
    "pairs" (arguments, and the outputs that the reference gives for them). `whole` is True where a completion is a
    program of its own; else it goes on from the prompt.
    """

    name: str
    prompt: str
    entry: str
    form: str
    whole: bool
    told: str
    """What the desk is told, as text of plain values: test, reference and expected values."""
    shown: str = ""
    """The tests that a model may see, where the benchmark shows some."""

    @property
    def task(self) -> str:
        """What is asked, for a model that is asked in words."""
        return self.prompt.strip().strip('"').strip() if self.whole else f"Complete this function:\n{self.prompt}"

    @property
    def hash(self) -> str:
        """16 hex digits of SHA-256 over all that decides a verdict."""
        parts = (self.prompt, self.entry, self.form, str(self.whole), self.told)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def program(self, completion: str) -> str:
        """The program that a completion makes."""
        return completion if self.whole else self.prompt + completion


def lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a .jsonl file, or of one packed with gzip, each with the number of its line."""
    file = Path(path)
    if not file.is_file():
        raise MissingError("no such file", file=path, next="name a .jsonl or .jsonl.gz file")
    read = 0
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as opened:
            number = 0
            while line := opened.readline(LONGEST + 1):
                number, read = number + 1, read + len(line)
                if len(line) > LONGEST or read > LARGEST:
                    raise FormatError(f"line {number} makes it too large", file=path)
                if line.strip():
                    yield number, _object(line, number, path)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise FormatError(f"cannot be unpacked: {error}", file=path) from None
    except OSError as error:
        raise MissingError(f"cannot be read: {error.strerror}", file=path) from None


def _object(line: bytes, number: int, path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        found = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"line {number} is not JSON: {error}", file=path) from None
    if not isinstance(found, dict):
        raise FormatError(f"line {number} holds {type(found).__name__}, not an object", file=path)
    return found


def problems(path: str | os.PathLike[str]) -> dict[str, Problem]:
    """The problems of a file, by name. Raises FormatError on one that has none of the known forms."""
    found: dict[str, Problem] = {}
    for number, entry in lines(path):
        problem = _problem(entry, f"line {number}", path)
        if problem.name in found:
            raise FormatError(f"line {number}: the problem {problem.name} is there twice", file=path)
        found[problem.name] = problem
    if not found:
        raise FormatError("holds no problems", file=path)
    return found


def _problem(entry: Mapping[str, Any], where: str, path: str | os.PathLike[str]) -> Problem:
    if "task_id" not in entry or isinstance(entry["task_id"], bool | list | dict):
        raise FormatError(f"{where}: a problem needs a task_id", file=path)
    for keys, read in FORMS:
        if all(key in entry for key in keys):
            return read(_Entry(entry, f"{where} ({entry['task_id']})", path))
    known = "; ".join(" + ".join(keys) for keys, _ in FORMS)
    raise FormatError(f"{where}: a problem of no known form", file=path, next=f"a problem has the fields {known}")


@dataclass(frozen=True)
class _Entry:
    """An object of the file whose fields are looked at one by one."""

    fields: Mapping[str, Any]
    where: str
    path: str | os.PathLike[str]

    @property
    def name(self) -> str:
        return str(self.fields["task_id"])

    def text(self, key: str, default: str | None = None) -> str:
        value = self.fields.get(key, default)
        if value is None and default is not None:
            value = default
        if not isinstance(value, str):
            raise self.error(f"{key} must be text")
        return value

    def many(self, key: str) -> list[Any]:
        value = self.fields.get(key, [])
        if not isinstance(value, list):
            raise self.error(f"{key} must be a list")
        return value

    def texts(self, key: str) -> list[str]:
        found = self.many(key)
        if not all(isinstance(each, str) for each in found):
            raise self.error(f"{key} must be a list of texts")
        return found

    def error(self, message: str) -> FormatError:
        return FormatError(f"{self.where}: {message}", file=self.path)


def _pairs(entry: _Entry) -> Problem:
    """EvalPlus: arguments of the original test and of the extra ones; the reference says what is right."""
    given = [*entry.many("base_input"), *entry.many("plus_input")]
    if not given or not all(isinstance(each, list) for each in given):
        raise entry.error("base_input and plus_input must be lists of lists of arguments")
    oracle = "mbpp" if entry.name.startswith("Mbpp/") else "humaneval" if entry.name.startswith("HumanEval/") else ""
    given = with_tuples(entry.name, given) if oracle == "mbpp" else given
    whole = oracle == "mbpp"
    prompt, solution = entry.text("prompt"), entry.text("canonical_solution")
    tolerance = entry.fields.get("atol") or 0
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float):
        raise entry.error("atol must be a number")
    told = {
        "reference": prompt + "\n" + solution if whole else prompt + solution,
        "pairs": [(each, None) for each in given],
        "solved": True,
        "oracle": oracle,
        "tolerance": float(tolerance),
    }
    return _made(entry, prompt, entry.text("entry_point"), "pairs", whole, told)


def _outputs(entry: _Entry) -> Problem:
    """One's own: arguments and outputs, value for value."""
    pairs = entry.many("pairs")
    if not pairs or not all(isinstance(each, list) and len(each) == 2 and isinstance(each[0], list) for each in pairs):
        raise entry.error("pairs must be a list of [[arguments], output]")
    told = {"reference": "", "pairs": [tuple(each) for each in pairs], "solved": False, "oracle": "", "tolerance": 0.0}
    return _made(entry, entry.text("prompt"), entry.text("entry_point"), "pairs", False, told)


def _check(entry: _Entry) -> Problem:
    """HumanEval: the prompt begins the function, the test defines `check(candidate)`."""
    prompt, solution = entry.text("prompt"), entry.text("canonical_solution", "")
    told = {"reference": prompt + solution, "solved": bool(solution.strip()), "test": entry.text("test")}
    return _made(entry, prompt, entry.text("entry_point"), "check", False, told)


def _asserts(entry: _Entry) -> Problem:
    """MBPP: a task in words, a program, and asserts that call its functions by their names."""
    tests = entry.texts("test_list") + entry.texts("challenge_test_list")
    if not tests:
        raise entry.error("test_list is empty")
    told = {
        "reference": entry.text("code", ""),
        "setup": "\n".join([*entry.texts("test_imports"), entry.text("test_setup_code", "")]),
        "tests": tests,
    }
    text = entry.fields.get("text") or entry.fields.get("prompt") or ""
    shown = "\n".join(entry.texts("test_list"))
    made = _made(entry, f'"""\n{text}\n{shown}\n"""\n', "", "asserts", True, told)
    return replace(made, shown=shown)


def _made(entry: _Entry, prompt: str, name: str, form: str, whole: bool, told: dict[str, Any]) -> Problem:
    return Problem(entry.name, prompt, name, form, whole, written({"form": form, "entry": name, **told}))


FORMS: tuple[tuple[tuple[str, ...], Callable[[_Entry], Problem]], ...] = (
    (("prompt", "entry_point", "canonical_solution", "base_input"), _pairs),
    (("prompt", "entry_point", "pairs"), _outputs),
    (("prompt", "entry_point", "test"), _check),
    (("test_list",), _asserts),
)
"""The fields by which each form is known, and who reads it."""


@dataclass(frozen=True)
class Sample:
    """One entry of a file of samples: the problem that it is for, and its text, a program of its own or not."""

    problem: str
    text: str
    whole: bool

    def program(self, problem: Problem) -> str:
        """The program that it makes."""
        return self.text if self.whole else problem.program(self.text)


def samples(path: str | os.PathLike[str], known: Iterable[str]) -> list[Sample]:
    """The samples of a file, in order. Raises FormatError on an entry for a problem that is not `known`."""
    names, found = set(known), list[Sample]()
    for number, entry in lines(path):
        name = str(entry.get("task_id"))
        if name not in names:
            raise FormatError(f"line {number}: no problem is named {name}", file=path, next="are these its problems?")
        key = next((key for key in ("solution", "code", "completion") if isinstance(entry.get(key), str)), None)
        if key is None:
            raise FormatError(f"line {number}: a sample needs a completion or a solution", file=path)
        found.append(Sample(name, entry[key], key != "completion"))
    if not found:
        raise FormatError("holds no samples", file=path)
    return found


def of_test(test: str) -> Problem:
    """A problem that is a test and nothing more: code that calls the functions of a sample by their names."""
    told = {"form": "asserts", "entry": "", "reference": "", "setup": "", "tests": [test]}
    return Problem(
        hashlib.sha256(test.encode("utf-8", "surrogatepass")).hexdigest()[:8], "", "", "asserts", True, written(told)
    )
