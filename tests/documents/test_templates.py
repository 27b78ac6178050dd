"""Templates from strangers cost no more than a template may, wherever they are rendered."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaibo.documents import templates
from kaibo.documents.child import Child, ExceededError
from kaibo.documents.templates import RefusedTemplateError, in_child, rendered, value_of
from kaibo.errors import KaiboError, PolicyError

ROW: dict[str, Any] = {"question": "why?", "options": ["a", "b c"], "label": "1", "answers": {"text": ["x"]}}

GREEDY = {
    "a product of text": "{{ 'x' * 10**10 }}",
    "a product of a list": "{{ [1] * 10**10 }}",
    "a power": "{{ 7 ** (10 ** 9) }}",
    "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "nested loops that write": "{% for a in range(99999) %}{% for b in range(99999) %}xxx{% endfor %}{% endfor %}",
    "padding": "{{ '%2000000000d' % 1 }}",
    "padding by a filter": "{{ 'x' | center(2000000000) }}",
    "padding by format": "{{ '{:2000000000}'.format(1) }}",
    "a join": "{{ range(99999) | join('x' * 99999) }}",
    "replacing": "{{ ('x' * 99999) | replace('x', 'y' * 99999) }}",
    "doubling": "{% set n = namespace(a='x') %}{% for i in range(99) %}{% set n.a = n.a ~ n.a %}{% endfor %}{{ n.a }}",
    "macros that call themselves": "{% macro a() %}{{ a() }}{{ a() }}{% endmacro %}{{ a() }}",
    "indenting": "{{ ('a\\n' * 99999) | indent(99999) }}",
    "batches": "{{ [1] | batch(10**9, 0) | list }}",
    "lorem ipsum": "{{ lipsum(n=99999999) }}",
}


@pytest.mark.parametrize("template", GREEDY.values(), ids=GREEDY)
@pytest.mark.timeout(60)
def test_a_greedy_template_is_refused_in_one_line(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "SECONDS", 2)
    with pytest.raises((PolicyError, RefusedTemplateError)) as refused:
        rendered(template, ROW, "task.toml")
    assert "\n" not in str(refused.value)
    assert rendered("{% for a in options %}{{ a }}{% endfor %}", ROW, "x") == "ab c"  # the next one is rendered


@pytest.mark.parametrize(
    "text",
    [
        *("{{ question }} {{ options | join(', ') }}", "{{ label | int }}", "{{ answers.text[0] | upper }}{{ 1 - 2 }}"),
        "{{ question.strip().split('h')[-1].capitalize() }}{{ options | map('replace', 'a', 'xy') | list }}",
        "{% if label == '1' %}{{ question ~ label }}{% else %}no{% endif %}{{ {'1': 'one'}[label] }}",
    ],
)
def test_a_harmless_template_is_the_same_here_and_in_the_child(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    there = in_child("task", text, [ROW], "x")[0]
    monkeypatch.setattr(templates, "in_child", None)  # it needs none
    assert rendered(text, ROW, "x") == there


PARTS = [
    "{{",
    "}}",
    "{%",
    "%}",
    " for a in options ",
    " endfor ",
    " if ",
    " endif ",
    "question",
    "options",
    "[0]",
    "|join('x')",
]


@given(st.lists(st.sampled_from([*PARTS, "|int", "|x", ".a", "~", "-", "+", "'", "1", " ", "label", "_"]), max_size=14))
@settings(max_examples=150, deadline=None)
def test_any_template_is_text_or_our_error(parts: list[str]) -> None:
    for render in (rendered, value_of):
        with contextlib.suppress(KaiboError, RefusedTemplateError):
            render("".join(parts), ROW, "x")


def test_a_name_that_the_row_lacks_is_said() -> None:
    for text in ("{{ absent }}", "{% for a in absent %}{% endfor %}"):
        with pytest.raises(RefusedTemplateError, match="absent"):
            rendered(text, ROW, "x")


def test_one_child_serves_many_threads() -> None:
    found: list[str] = []
    threads = [
        threading.Thread(
            target=lambda n=n: found.append(rendered("{% for a in n %}{{ a }}{% endfor %}", {"n": [n]}, "x"))
        )
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found, key=int) == [str(n) for n in range(20)]


def test_a_child_that_cannot_start_is_an_error_and_not_a_hang() -> None:
    with pytest.raises(ExceededError):
        Child("reading.py", 1 << 30).ask({}, 1)
