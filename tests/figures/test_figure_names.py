"""Whatever a model, a column or a token is called, every kind of figure is drawn and nothing of the name runs."""

import json
import re
import unicodedata
from xml.etree import ElementTree

import pytest
from hostile_findings import HOSTILE, INJECTED, hostile
from test_figure_charts import EVERY, FINDINGS

from kaibo.figures import figure
from kaibo.figures.drawable import drawable
from kaibo.figures.export import render, specification, vega_lite_version

LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"|' + r"'(?:[^'\\]|\\.)*'")


def strings(node, key=""):
    if isinstance(node, str):
        yield key, node
    elif isinstance(node, dict):
        for name, value in node.items():
            yield "key", name
            yield from strings(value, name)
    elif isinstance(node, list):
        for one in node:
            yield from strings(one, key)


def drawn(label, name):
    return figure(hostile(FINDINGS[label]), name=name)


@pytest.mark.parametrize(("label", "name"), EVERY)
def test_no_string_of_a_figure_holds_what_cannot_be_drawn(label, name):
    spec = specification(drawn(label, name))
    data = spec.pop("datasets")
    for key, text in strings({"all": [spec, data]}):
        assert not {unicodedata.category(character) for character in text} & {"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"}, key
    for key, text in strings(spec):
        assert (
            key in ("domain", "sort", "text", "subtitle", "description", "values")
            or INJECTED not in text
            or (key == "title" and not set(text) & set('"\\'))
        ), key


@pytest.mark.slow
@pytest.mark.parametrize(("label", "name"), EVERY)
def test_a_figure_with_hostile_names_is_drawn_and_runs_nothing_of_them(label, name):
    import vl_convert

    chart = drawn(label, name)
    vega = vl_convert.vegalite_to_vega(specification(chart), vl_version=vega_lite_version())
    vega = json.loads(vega) if isinstance(vega, str) else vega
    for key, text in strings(vega):
        if key in ("signal", "expr", "update", "test", "description"):
            assert INJECTED not in LITERAL.sub("", text) or key == "description", text
    ElementTree.fromstring(render(chart, "svg"))


def test_a_hostile_name_ends_no_drawing_in_any_format():
    chart = drawn("one pair", "scatter")
    assert render(chart, "png").startswith(b"\x89PNG")
    assert render(chart, "pdf").startswith(b"%PDF")


def test_a_drawable_text_is_its_own():
    assert drawable(drawable(HOSTILE)) == drawable(HOSTILE)
