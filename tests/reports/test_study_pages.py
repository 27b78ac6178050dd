import re

import pytest
import sample_findings as sample
from hypothesis import given
from hypothesis import strategies as st

from kaibo.chapters import kinds
from kaibo.reports.claims import claim_groups, counted, sureness, tally
from kaibo.reports.studies import StudyReport, index_page, study_page
from kaibo.vocabulary import Finding
from kaibo.vocabulary.claims import Claim, Outcome, judge

HOSTILE = "<img src=x onerror=alert(1)>"
NUMBERS = st.floats(-1e3, 1e3, allow_nan=False)
OUTCOMES = st.none() | st.builds(
    Outcome, st.just("o"), st.none() | NUMBERS | st.booleans(), scale=st.sampled_from(["published", "nursery"])
)


def judged(*outcomes, reported=1.0, text="the value"):
    """A judgement for each outcome, every claim with an outcome of its own."""
    claims = [Claim(f"c{k}", {"en": f"{text} {k}"}, "a source", reported, f"o{k}") for k in range(len(outcomes))]
    return judge(claims, {f"o{k}": outcome for k, outcome in enumerate(outcomes) if outcome is not None})


def report(name="one", outcomes=(None,), **changes):
    texts = {
        "title": f"Title of {name}", "question": "Is it so?", "source": "An article", "method": ["first", "second"],
        "follows": ["It follows."], "full": ["Give a model: kaibo study run one --models hf:org/name"],
        "titles": {"digits": "First digits"}, "abouts": {"digits": "What is to be seen."},
    }  # fmt: skip
    findings = {"digits": sample.digits(2)}
    given = {"findings": findings, "judgements": judged(*outcomes), "sentences": ["It was found."], **changes}
    return StudyReport(name, texts, **given)


def visible(page):
    return re.sub(r"<script.*?</script>|<style>.*?</style>", "", page, flags=re.DOTALL)


@given(st.lists(OUTCOMES, max_size=30))
def test_every_judgement_stands_in_exactly_one_group_and_the_tally_counts_each_once(outcomes):
    judgements = judged(*outcomes)
    groups = claim_groups(judgements)
    assert sorted(line.claim for group in groups for line in group.lines) == sorted(one.claim for one in judgements)
    assert tally(judgements).total == len(judgements)
    shown = [line.badges[0][0] for group in groups for line in group.lines]
    assert all(count == shown.count(style) for style, count, _ in tally(judgements).counts)


def test_what_was_judged_is_open_and_a_long_list_of_what_was_not_is_folded_under_its_reason():
    unmeasured = [Outcome("o", None, why="no table was given")] * 5
    groups = claim_groups(judged(*[Outcome("o", 1.0)] * 20, *[None] * 4, *unmeasured))
    assert [(len(group.lines), group.folded) for group in groups] == [(20, False), (4, False), (5, True)]
    assert groups[2].title.endswith("no table was given")


def test_a_direction_at_another_scale_is_seen_or_not_and_never_reproduced():
    same, other = judged(Outcome("o", 2.0, scale="nursery"), Outcome("o", -2.0, scale="nursery"))
    (group,) = claim_groups([same, other])
    assert [line.badges[0][0] for line in group.lines] == ["seen", "not-seen"]
    assert "1 show the direction" in sureness([same, other])[1]
    assert [one.verdict.partition(" at ")[0] for one in (same, other)] == ["direction seen", "direction not seen"]


def test_four_things_are_counted_in_three_bars():
    outcomes = [
        Outcome("o", 1.0), Outcome("o", 3.0), Outcome("o", 2.0, scale="nursery"), Outcome("o", -2.0, scale="nursery"),
        Outcome("o", None, n=9), None,
    ]  # fmt: skip
    found = tally(judged(*outcomes))
    assert [[count for _, count, _ in bar] for bar in found.bars] == [[1, 1], [1, 1], [1, 1]]
    said = counted(judged(*outcomes))
    assert said == (
        "Of 6 claims 1 are reproduced and 1 differ. Seen at another scale: 1 directions; not seen: 1. "
        "Cannot tell: 1. Not measured: 1."
    )


def test_what_was_not_measured_stands_with_the_command_that_would_measure_it():
    claim = Claim("c", {"en": "It is so."}, "a source", True, "o", sentence="It is so.", command="kaibo study run one")
    page = visible(study_page(report(judgements=judge([claim], {}))))
    assert "<code>kaibo study run one</code>" in page
    assert "The source: “It is so.”" in page
    measured = visible(study_page(report(judgements=judge([claim], {"o": Outcome("o", True)}))))
    assert "<code>kaibo study run one</code>" not in measured


def test_an_interval_and_the_number_of_values_stand_beside_ours():
    (group,) = claim_groups(judged(Outcome("o", 0.5, 0.25, 2.0, n=12)))
    (line,) = group.lines
    assert (line.ours, line.interval, line.basis) == ("0.5", "0.25 to 2", "n = 12")


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_page_asks_finds_shows_judges_and_says_how_to_go_on_in_this_order(language):
    page = study_page(report(outcomes=(Outcome("o", 1.0), None)), language=language)
    found = re.findall(r'<section id="([^"]*)"', page)
    assert found == ["question", "found", "method", "finding-1-digits", "claims", "follows", "full"]
    assert "What is to be seen." in page
    assert "<code>kaibo study run one --models hf:org/name</code>" in page
    assert page.count('<ol class="steps">') == 1
    assert 'class="badge reproduced"' in page


def test_names_and_texts_of_strangers_are_text_on_page_and_index():
    findings = {HOSTILE: sample.renamed(sample.digits(), HOSTILE), 'a"b': Finding(kinds()["seeds"], ())}
    judgements = judged(Outcome("o", None, why=HOSTILE), text=HOSTILE)
    hostile = report(HOSTILE, findings=findings, judgements=judgements, sentences=[HOSTILE], addresses=[HOSTILE])
    for page in map(visible, (study_page(hostile), index_page([hostile, report()]))):
        assert "<img" not in page
        assert "&lt;img src=x onerror=alert(1)&gt;" in page
        assert re.fullmatch(r"[\w.-]+", re.search(r'id="(finding-[^"]*|img[^"]*)"', page)[1])


def test_the_index_tells_each_study_with_its_question_findings_picture_counts_and_link():
    reports = [report("one", (Outcome("o", 1.0), None)), report("two", [None] * 9, cover="digits:digits")]
    page = visible(index_page(reports))
    for name in ("one", "two"):
        section = re.search(rf'<section id="{name}".*?</section>', page, flags=re.DOTALL)[0]
        assert f'href="{name}.html"' in section
        assert f"figure-digits-digits-cover-{name}" in section
        assert "It was found." in section
    assert "Of 11 claims 1 are reproduced and 0 differ." in page
    assert page.index('id="overview"') < page.index('id="one"') < page.index('id="two"') < page.index('id="claims"')
    assert '<details class="group"><summary>Not measured: its inputs were not given (9)' in page


def test_a_study_without_claims_or_figures_has_a_page_and_an_entry():
    bare = report("bare", (), findings={"none": Finding(kinds()["digits"], ())})
    assert "<script" not in study_page(bare)
    assert '<section id="bare"' in index_page([bare])
