"""`kaibo` alone, and groups of commands without one."""

from __future__ import annotations

import pytest

from kaibo.cli import main_loop


def test_kaibo_alone_welcomes_with_an_example_and_says_where_help_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main_loop([]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert "kaibo dissect ./my-model" in told.out
    assert "kaibo --help" in told.out
    assert len(told.out.splitlines()) < 12
    assert max(map(len, told.out.splitlines())) <= 80


@pytest.mark.parametrize("group", ["store", "study"])
def test_a_group_without_a_command_names_those_there_are_in_one_short_line(
    group: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main_loop([group]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"kaibo: {group}: name what to do: ")
    assert told.err.count("\n") == 1
    assert len(told.err) < 200
