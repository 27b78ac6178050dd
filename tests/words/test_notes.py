"""A note is a key with values: every key is known, in both languages, and its blanks are filled."""

import ast
import copy
import pickle
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from kaibo.vocabulary import Finding
from kaibo.words import Note, about, also, changed, combined, note, quoted, said
from kaibo.words.catalogue import LANGUAGES, everything, table

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "studies").rglob("*.py")])
STUDIES = [table(path) for path in sorted(ROOT.glob("studies/*/words.toml"))]
WORDS = everything() | {key: texts for one in STUDIES for key, texts in one.items() if key.startswith("notes.")}


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.AST]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """The calls that make a note: `note(…)` and `kaibo.note(…)`, not the methods of that name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.func) in ("note", "kaibo.note"):
            yield node


def keys(call: ast.Call) -> Iterator[str]:
    """The keys that stand in a call as they are: one, or one of two."""
    first = call.args[0]
    for one in (first.body, first.orelse) if isinstance(first, ast.IfExp) else (first,):
        if isinstance(one, ast.Constant):
            yield one.value if "." in one.value else f"notes.{one.value}"


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_note_that_is_made_has_words_and_fills_their_blanks(trees):
    for path, tree in trees.items():
        for call in calls(tree):
            given = {one.arg for one in call.keywords}
            for key in keys(call):
                assert key in WORDS, f"{path}, line {call.lineno}: no word table has {key}"
                assert None in given or blanks(WORDS[key]["en"]) <= given, f"{path}, line {call.lineno}: {key}"


def test_every_note_is_written_in_every_language_with_the_same_blanks():
    for key, texts in WORDS.items():
        if key.startswith("notes."):
            assert texts.keys() == set(LANGUAGES), key
            assert len({frozenset(blanks(text)) for text in texts.values()}) == 1, key


def test_every_word_of_a_note_is_said_somewhere(trees):
    texts = {node.value for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    formed = [
        [part.value if isinstance(part, ast.Constant) else "" for part in formed.values]
        for tree in trees.values()
        for call in calls(tree)
        for formed in ast.walk(call.args[0])
        if isinstance(formed, ast.JoinedStr)
    ]
    lone = [
        key
        for key in WORDS
        if (name := key.removeprefix("notes.")) != key
        and name not in texts
        and not any(name.startswith(parts[0]) and name.endswith(parts[-1]) for parts in formed)
    ]
    assert lone == []


def test_no_bare_sentence_is_given_to_a_finding(trees):
    """The type of `notes` holds this where types are known; here it is held of the studies as well."""
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Finding"):
                told = [*node.args[2:3], *(one.value for one in node.keywords if one.arg == "notes")]
                bare = [one for given in told for one in ast.walk(given) if isinstance(one, ast.Tuple)]
                for one in (part for group in bare for part in group.elts):
                    assert not isinstance(one, ast.Constant | ast.JoinedStr), f"{path}: line {one.lineno}"


def test_a_note_is_said_in_a_language_and_its_values_with_it():
    told = about("tuned", about("embedding", note("diff_tokens_moved", rows=64, base=64, tuned=66, moved=3)))
    assert told == "tuned: embedding: aligned by token, 64 rows of 64 and 66, 3 of them re-numbered"
    assert said(told, "en") == told
    assert said(told, "ja") == (
        "tuned: embedding: トークンで対応させました（64 行と 66 行のうち 64 行、うち 3 行は番号が変わっています）"
    )


def test_several_notes_are_one():
    both = combined(["", note("pair_slot"), "", note("pair_fused_base", layout="q k v")])
    assert both == "the names differ, paired by layer and role; fused in the base (q k v)"
    assert said(both, "ja") == f"{note('pair_slot').said('ja')}; ベースでは結合されています（q k v）"
    assert combined(["", ""]) == ""
    assert also("a", "b") == "a; b"


def test_what_others_wrote_stays_as_it_is():
    assert quoted("{braces} and 100 %").said("ja") == "{braces} and 100 %"
    assert said("something else", "ja") == "something else"


def test_a_note_without_words_is_a_mistake():
    with pytest.raises(KeyError, match="nothing_like_it"):
        note("nothing_like_it")


def test_values_of_a_note_are_changed_wherever_they_lie():
    told = about("/home/ann/m", note("left_out_axis", axis="tokens", names="/home/ann/m"))
    short = changed(told, lambda text: text.replace("/home/ann/", ""))
    assert short == "m: left out, since their tokens are not known: m"
    assert short.said("ja") == "m: tokens が分からないため除いたモデル：m"
    assert changed("/home/ann/m", str.upper) == "/HOME/ANN/M"
    assert changed(3, str.upper) == 3


@pytest.mark.parametrize("road", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_note_keeps_its_key_on_every_road(road):
    told = road(about("a", note("pair_slot")))
    assert isinstance(told, Note)
    assert told.said("ja") == f"a: {note('pair_slot').said('ja')}"


def test_json_has_the_english_sentence():
    from kaibo.chapters.census.rows import CENSUS

    assert (
        '"notes": ["the names differ, paired by layer and role"]' in Finding(CENSUS, (), (note("pair_slot"),)).to_json()
    )
