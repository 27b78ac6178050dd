"""No name of a model, column or token moves a cursor, sets a title or turns a line round on a terminal."""

import io
import logging
import sys

import pytest
from rich.console import Console

from kaibo.errors import escaped
from kaibo.reports.terminal import console
from kaibo.vocabulary.terminals import guarded, guarded_stderr, spelled, unguarded

HOSTILE = "x\x1b]0;title\x07\x1b[31m\u202e\u2028\u2066\x85\x00\x9b1m"
CONTROLS = set(HOSTILE) - set("x]0;title[31m")


def test_what_a_console_prints_holds_no_control_characters_of_names():
    out = io.StringIO()
    console(out).print(HOSTILE, ["list", HOSTILE])
    assert not CONTROLS & set(out.getvalue())
    assert "\\x1b]0;title\\x07" in out.getvalue()


def test_a_console_keeps_its_own_colours():
    from rich.text import Text

    out = io.StringIO()
    guarded(Console(file=out, force_terminal=True, color_system="standard")).print(Text(HOSTILE, "bold"))
    assert out.getvalue().startswith("\x1b[1m")
    assert "\x1b]0;" not in out.getvalue()
    assert "\u202e" not in out.getvalue()


def test_messages_of_other_libraries_are_spelled_out_while_a_command_runs(capsys):
    before = sys.stderr
    with guarded_stderr():
        logging.StreamHandler(sys.stderr).emit(logging.makeLogRecord({"msg": HOSTILE}))
        sys.stderr.writelines([f"{HOSTILE}\n", "\r50 %"])
        print(HOSTILE, file=sys.stderr)
        assert unguarded(sys.stderr) is before
    assert sys.stderr is before
    said = capsys.readouterr().err
    assert not CONTROLS & set(said)
    assert "\r50 %" in said


@pytest.mark.parametrize("text", ["plain", "全角　空白", "a\tb\nc", "é\u00a0€", "🙂"])
def test_ordinary_text_is_left_alone(text):
    assert spelled(text) == text
    assert spelled(escaped(text)) == escaped(text)


def test_a_command_line_with_hostile_names_says_them_spelled_out(tmp_path, capsys):
    from kaibo.cli.main import main_loop

    rows = "".join(f"m{place}{HOSTILE.replace(chr(0), '')},{place * 7 % 5},{place}.5\n" for place in range(6))
    (tmp_path / "t.csv").write_text(f"model,a{HOSTILE.replace(chr(0), '')},b\n{rows}", encoding="utf-8")
    for arguments in (["pca", str(tmp_path / "t.csv")], ["law", str(tmp_path / "t.csv"), "--target", HOSTILE]):
        main_loop(arguments)
        said = capsys.readouterr()
        assert not CONTROLS & set(said.out + said.err)
