import json
import re

import pytest
import sample_comparing as comparing
import sample_evaluations as evaluations
import sample_findings as sample
import sample_law as law
import sample_running as running
import sample_scoring as scoring
import sample_series
import sample_spectra as spectra
import sample_table_findings as tables
import sample_vectors as vectors
from hypothesis import given, settings
from hypothesis import strategies as st

import sample_trends
from kaibo.chapters import kinds
from kaibo.chapters.pca.tables_beside import tables_beside
from kaibo.chapters.trends.whole import TrendOptions, trends
from kaibo.errors import UsageError
from kaibo.figures import caption, figure, shown_by
from kaibo.figures.export import specification
from kaibo.figures.fonts import JAPANESE
from kaibo.vocabulary import Finding
from kaibo.vocabulary.architecture import Architecture

TRENDS = trends(sample_trends.runs(400), TrendOptions(against="flops"))
TOKEN = re.compile(r'"token": "[^"]*"')
FINDINGS = {
    "one model": sample.digits(1),
    "five models": sample.digits(5),
    "forty tensors": sample.digits_by_tensor(40),
    "one layer, one role": sample.profile(1, 1),
    "80 layers, 20 roles": sample.profile(80, 20),
    "three models": sample.profile(4, 3, 3),
    "magnitudes": sample.magnitudes(),
    "what changed, one": sample.norm_curve(),
    "distances, four": sample.distances(),
    "what changed, three": sample.norm_curve(3),
    "where it changed": sample.change_map(),
    "where it changed, three": sample.change_map(40, 3),
    "a series": sample_series.series(),
    "a series, evenly": sample_series.series(tuple(range(0, 1000, 100))),
    "spectra": spectra.spectra(),
    "spectra, three": spectra.spectra(3),
    "tails": spectra.tails(),
    "ranks of one change": spectra.change(),
    "ranks of three": spectra.change(3),
    "tails, three": spectra.tails(3),
    "where task vectors are in conflict": sample.conflict_map(),
    "what a merge leaves of one": sample.conflicts(1),
    "what a merge leaves of three": sample.conflicts(3),
    "inspect": sample.inspected(1),
    "inspect three": sample.inspected(3),
    "components": tables.components_finding(),
    "a law": tables.law_finding(),
    "tables beside each other": tables_beside(dict.fromkeys(("one", sample.HOSTILE), tables.components_finding())),
    "rescaled": law.rescaled(),
    "rescaled, three": law.rescaled(3),
    "digits in groups": law.grouped(),
    "digits along training": law.grouped(course=True),
    "on and off the law": law.trial(),
    "one pair": tables.pair_finding(),
    "ten pairs": tables.pairs_finding(),
    "trajectories": tables.trajectories_finding(),
    **{one.kind.name: one for one in TRENDS.findings if one.kind.figures},
    "one score": evaluations.scores(1, 1, 1),
    "scores of five models": evaluations.scores(5, 3, 4),
    "corrupted": scoring.corrupt(),
    "corrupted by shuffling": scoring.corrupt(1, "shuffle"),
    "tokens": scoring.tokens(),
    "tokens, three": scoring.tokens(3),
    "loss by context": scoring.contexts(),
    "loss by context, three": scoring.contexts(3),
    "context": running.context_finding(),
    "tour": running.tour_finding(),
    **comparing.comparing_findings(),
    "reported norms": vectors.reported(),
    "ways to norm": vectors.ways(),
    "ways to norm two": vectors.ways(2),
    "sizes of a change": vectors.sizes(),
    "sizes of two": vectors.sizes(2),
    "fine-tunes": vectors.lengths(),
    "fine-tunes two by two": vectors.apart(),
    "data against seed": vectors.ratios(),
    "data against seed, without interval": vectors.ratios(None),
    "methods": vectors.methods(),
    "largest changes": vectors.kept(),
    "ranks of changes": vectors.ranks(),
}
EVERY = [(label, name) for label, finding in FINDINGS.items() for name in shown_by(finding)]


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize(("label", "name"), EVERY)
def test_every_figure_is_a_valid_specification_without_addresses(label, name, language):
    drawn = specification(figure(FINDINGS[label], name=name, language=language))  # Altair checks the schema
    text = json.dumps(drawn, ensure_ascii=False)
    assert '"url"' not in text
    assert drawn["description"] == caption(FINDINGS[label], name=name, language=language)
    said = TOKEN.sub("", json.dumps({**drawn, "config": {}}, ensure_ascii=False))  # tokens are of the text's language
    assert bool(JAPANESE.search(said)) == (language == "ja")


@pytest.mark.parametrize(("label", "name"), EVERY)
def test_the_same_finding_gives_the_same_specification(label, name):
    first, second = (specification(figure(FINDINGS[label], name=name)) for _ in range(2))
    assert json.dumps(first) == json.dumps(second)


def data_of(drawn):
    return [row for rows in drawn["datasets"].values() for row in rows]


def test_the_digits_figure_shows_what_the_finding_says():
    finding = sample.digits(1)
    rows = data_of(specification(figure(finding)))
    assert [row["digit"] for row in rows] == list(range(1, 10))
    assert [row["share"] / 100 for row in rows] == pytest.approx(finding.rows[0].shares)
    assert [row["law"] / 100 for row in rows] == pytest.approx(sample.LAW)


def test_a_kind_without_a_figure_says_so():
    with pytest.raises(UsageError, match="a census finding has no figure"):
        figure(Finding(kinds()["census"], sample.digits().rows))
    with pytest.raises(UsageError, match="its figures: std, kurtosis"):
        figure(sample.profile(), name="nothing")
    with pytest.raises(UsageError, match="without rows"):
        figure(Finding(kinds()["digits"], ()))
    assert shown_by(Finding(kinds()["digits"], ())) == ()
    assert shown_by(Finding(kinds()["inspect"], (Architecture("x", "other"),))) == ()


def test_each_figure_of_the_table_can_be_drawn():
    drawn = {finding.kind for finding in FINDINGS.values()}
    assert drawn == {kind for kind in kinds().values() if kind.figures}


values = st.floats(allow_nan=True, allow_infinity=True) | st.none()


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(values, values), min_size=1, max_size=6))
def test_numbers_that_no_axis_can_hold_are_left_out(pairs):
    from kaibo.chapters.stats.rows import ProfileRow

    rows = tuple(ProfileRow("m", place, "mlp.up", 1, *pair, 0.0) for place, pair in enumerate(pairs))
    for name in kinds()["profile"].figures:
        json.dumps(specification(figure(Finding(kinds()["profile"], rows), name=name)), allow_nan=False)


def test_digits_of_a_tensor_of_zeros_are_drawn_as_nothing():
    nothing = (float("nan"),) * 9
    finding = sample.digits(1)
    row = type(finding.rows[0])(**{**finding.rows[0].__dict__, "shares": nothing, "gaussian_shares": nothing})
    drawn = specification(figure(Finding(kinds()["digits"], (row,))))
    assert all(record["share"] is None for record in data_of(drawn))
    json.dumps(drawn, allow_nan=False)


def test_names_are_data_and_never_part_of_an_expression():
    hostile = sample.renamed(sample.digits(2), sample.HOSTILE)
    drawn = json.dumps(specification(figure(hostile)))
    assert "\\u2028" not in drawn
    assert "\\u202e" not in drawn
    without = json.loads(drawn)
    without.pop("datasets")
    expressions = [text for text in json.dumps(without).split('"') if "datum." in text]
    assert all("script" not in text for text in expressions)


def test_two_models_of_one_name_get_two_panels():
    rows = sample.renamed(sample.digits(1), "/a/gemma").rows + sample.renamed(sample.digits(1), "/b/gemma").rows
    labels = {row["model"] for row in data_of(specification(figure(Finding(kinds()["digits"], rows))))}
    assert labels == {"gemma (1)", "gemma (2)"}
