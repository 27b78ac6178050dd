"""What ships with CPython: the topics of `help()` and the docstrings of the standard library.

The sources are parsed, never imported, so that nothing runs; files and docstrings come in the order of their names.
The text is that of the running Python: another version has another.
"""

from __future__ import annotations

import ast
import inspect
import sysconfig
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from kaibo.recipes.corpus.documents import Document

LEFT_OUT = ("site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "turtledemo", "ensurepip")
"""Folders of the library that are no library, or not in every installation."""

PIECE = 1500
"""Characters after which a long text is divided at its next empty line, so that mixing stays even."""

SHORTEST = 80
"""Docstrings with fewer characters say too little to learn from."""

Described = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@cache
def python_documents(library: Path | None = None) -> tuple[Document, ...]:
    """Topics, docstrings, and a question for each docstring that begins with a sentence; every text once."""
    seen: set[str] = set()
    documents = []
    for document in (*_topics(), *_docstrings(library or Path(sysconfig.get_path("stdlib")))):
        if document.text not in seen:
            seen.add(document.text)
            documents.append(document)
    return tuple(documents)


def _topics() -> Iterator[Document]:
    from pydoc_data.topics import topics

    for name in sorted(topics):
        yield from _pieces(f"topic:{name}", topics[name])


def _docstrings(library: Path) -> Iterator[Document]:
    for path in sorted(library.rglob("*.py")):
        parts = path.relative_to(library).parts
        if any(part in LEFT_OUT or part.startswith(("config-", "__pycache__")) for part in parts):
            continue
        module = ".".join(parts).removesuffix(".py").removesuffix(".__init__")
        for name, text in _described(path, module):
            if len(text) >= SHORTEST:
                yield from _pieces(f"docstring:{name}", text)
            yield from _question(name, text)


def _described(path: Path, module: str) -> Iterator[tuple[str, str]]:
    """(dotted name, docstring) of a file's module, classes and functions, in the order of their lines."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # escapes that a later Python will refuse
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError):  # files made to be refused, and what cannot be read
        return
    yield from _walk(tree, module)


def _walk(node: Described, name: str) -> Iterator[tuple[str, str]]:
    text = ast.get_docstring(node, clean=False)
    if text and not name.rpartition(".")[2].startswith("_"):
        yield name, inspect.cleandoc(text).strip()
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _walk(child, f"{name}.{child.name}")


def _pieces(source: str, text: str) -> Iterator[Document]:
    """The text in pieces of about `PIECE` characters, divided at empty lines."""
    piece: list[str] = []
    number = 0
    for paragraph in text.strip().split("\n\n"):
        piece.append(paragraph)
        if sum(map(len, piece)) >= PIECE:
            yield Document(f"{source}#{number}", "en", "\n\n".join(piece))
            piece, number = [], number + 1
    if piece:
        yield Document(f"{source}#{number}", "en", "\n\n".join(piece))


def _question(name: str, text: str) -> Iterator[Document]:
    first = " ".join(text.partition("\n\n")[0].split())
    if first.endswith(".") and 20 <= len(first) <= 160 and first[0].isupper():
        yield Document(f"question:{name}", "en", f"Question: What is {name}?\nAnswer: {first}")
