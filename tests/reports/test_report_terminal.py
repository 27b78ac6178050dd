import io

import pytest
import sample_findings as sample

from kaibo.chapters import kinds
from kaibo.reports.facts import facts
from kaibo.reports.terminal import console, show, show_dissection
from kaibo.words import heading

WIDTHS = [1, 20, 40, 80, 200]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def summary(stream, language="en", name="gemma"):
    out = console(stream)
    model = sample.architecture(name)
    show_dissection(
        name, facts=facts(model, language), sentences=["It is."], digits=sample.digits(), to=out, language=language
    )
    for finding in (sample.digits(3), sample.stats(2), sample.profile(2, 3), sample.inspected()):
        show(finding, to=out, language=language)
    return stream.getvalue()


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_at_any_width(monkeypatch, width, language):
    monkeypatch.setenv("COLUMNS", str(width))
    text = "".join(summary(io.StringIO(), language).split())
    assert "6,738,415,616" in text
    assert "…" not in text


def test_no_line_is_wider_than_the_terminal(monkeypatch):
    from rich.cells import cell_len

    monkeypatch.setenv("COLUMNS", "20")
    for language in ("en", "ja"):
        assert max(cell_len(line) for line in summary(io.StringIO(), language).splitlines()) <= 20


def test_a_pipe_gets_plain_text_and_a_terminal_colour(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b" not in summary(io.StringIO())
    assert "\x1b[" in summary(Terminal())


def test_no_color_is_honoured(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in summary(Terminal())
    assert "\x1b[34m" not in summary(Terminal())


def test_hostile_names_are_text():
    stream = io.StringIO()
    text = summary(stream, name=sample.HOSTILE + "[bold red]x[/]:smile:")
    show(sample.renamed(sample.stats(1, name="\x1b]0;owned\x07[blink]"), sample.HOSTILE), to=console(stream))
    text = stream.getvalue()
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[bold red]x[/]:smile:" in text
    assert "[blink]" in text


def test_an_ascii_stream_gets_spelled_out_characters_instead_of_an_error():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    show(sample.stats(1), to=console(stream), language="ja")
    stream.flush()
    assert b"\\u" in raw.getvalue()


def test_long_tables_end_with_how_many_rows_there_are():
    stream = io.StringIO()
    show(sample.stats(70), to=console(stream), rows=10)
    assert "the first 10 of 70 rows" in stream.getvalue()
    assert stream.getvalue().count("attention.q") == 10


def shown(finding, width, language="en"):
    from rich.console import Console

    stream = io.StringIO()
    show(finding, to=Console(file=stream, width=width, color_system=None), language=language)
    return stream.getvalue()


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("rows", [1, 3, 20])
def test_a_wide_table_never_loses_a_part_of_a_number(rows, language):
    from rich.cells import cell_len

    finding = sample.stats(rows)
    whole = shown(finding, 1000, language).splitlines()
    for width in range(10, 260, 7):
        lines = shown(finding, width, language).splitlines()
        assert max(map(cell_len, lines)) <= width
        text = "".join(shown(finding, width, language).split())
        assert "".join(whole[1].split()[0]) in text
        assert "…" not in text


def test_few_rows_stand_side_by_side_and_many_lose_their_last_columns_by_name():
    assert shown(sample.stats(3), 80).splitlines()[0].split()[0] == heading("key")
    many = shown(sample.stats(20), 80)
    assert len(many.splitlines()) < 30
    assert "not shown for want of width: " in many
    assert heading("nonfinite") not in many.partition("not shown")[2]


def test_sentences_are_folded_before_a_table_is_turned():
    from kaibo.chapters.series.rows import AuditRow
    from kaibo.vocabulary import Finding

    rows = tuple(AuditRow("jump", (f"checkpoint-{n}",), "so far from its neighbours " * 6) for n in range(9))
    lines = shown(Finding(kinds()["series-audit"], rows), 80).splitlines()
    assert lines[0].split() == [heading(name) for name in ("kind", "checkpoints", "evidence")]
    assert len(lines) > 9
