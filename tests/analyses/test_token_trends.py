"""Trends of tokens: the test holds its level under the noise it will meet, and equals independent regressions."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import sample_trends as sample
from kaibo.chapters.trends import classes as rooms
from kaibo.chapters.trends.alike import by_shifting, correlation
from kaibo.chapters.trends.classes import CLASSES, token_trends
from kaibo.chapters.trends.curves import exponential_average
from kaibo.chapters.trends.descent import bumps
from kaibo.chapters.trends.passages import sentences
from kaibo.chapters.trends.scored import ScoredSeries, Tokens
from kaibo.chapters.trends.whole import TrendOptions, trends
from kaibo.errors import UsageError
from kaibo.uncertainty.autoregression import BETWEEN, regress
from kaibo.uncertainty.discovery import benjamini_hochberg, false_discovery
from kaibo.uncertainty.shifting import shifted_sums
from kaibo.uncertainty.student_tails import tail_polynomial


def unevenly(checkpoints):
    """Steps spaced as runs keep them: some by their logarithm, the others evenly."""
    steps = np.unique(np.round(np.r_[np.geomspace(100, 10_000, 2 * checkpoints), np.linspace(100, 10_000, 50)]))
    chosen = np.random.default_rng(checkpoints).choice(steps[1:-1], checkpoints - 2, replace=False)
    return np.sort(np.r_[steps[0], chosen, steps[-1]])


def noise(checkpoints, tokens, rho, scale=0.1, seed=0):
    random = np.random.default_rng([seed, checkpoints, round(100 * rho)])
    out = random.normal(size=(checkpoints, tokens))
    for place in range(1, checkpoints):
        out[place] = rho * out[place - 1] + np.sqrt(1 - rho * rho) * out[place]
    return scale * out


def series_of(nats, steps, name="run"):
    count = nats.shape[1]
    return ScoredSeries(name, tuple(int(step) for step in steps), nats.astype(np.float32), sample.text_of(count))


def false_calls(checkpoints, rho, tokens, extra=0.0):
    """The share of flat tokens with p < 0.05, and the share called after correction."""
    found = token_trends(series_of(5 + noise(checkpoints, tokens, rho) + extra, unevenly(checkpoints)), 0.0)
    return float((found.regressions.p < 0.05).mean()), float((found.corrected <= rooms.DOWNWARD).mean())


LIMITS = {0.0: 0.07, 0.5: 0.15}


@pytest.mark.parametrize("checkpoints", [12, 20, 30])
@pytest.mark.parametrize("rho", LIMITS)
def test_flat_tokens_are_rarely_called(checkpoints, rho):
    raw, called = false_calls(checkpoints, rho, 10_000)
    assert raw <= LIMITS[rho]
    assert called <= 0.005


@pytest.mark.parametrize("rho", LIMITS)
def test_the_level_is_used_and_not_only_kept(rho):
    assert false_calls(30, rho, 10_000)[0] >= 0.03


@pytest.mark.slow
def test_what_is_not_promised_is_measured(capsys):
    """AR(1) of 0.9 and a shock that all tokens share; power by slope: the numbers of docs/howto/trends.md."""
    with capsys.disabled():
        for checkpoints in (7, 12, 20, 30):
            shock = noise(checkpoints, 1, 0.0, seed=5)
            shown = {f"AR {rho}": false_calls(checkpoints, rho, 10_000) for rho in (0.0, 0.5, 0.9)}
            draws = [false_calls(checkpoints, 0.0, 2_000, noise(checkpoints, 1, 0.0, seed=k)) for k in range(40)]
            shown["shock"] = tuple(np.mean(draws, axis=0).tolist())
            shown["shock, worst of 40"] = tuple(np.max(draws, axis=0).tolist())
            print(checkpoints, {name: tuple(round(value, 4) for value in pair) for name, pair in shown.items()})
            assert shock.shape == (checkpoints, 1)
            for slope in (0.01, 0.05, 0.2):
                print("   power", slope, [power(checkpoints, rho, slope) for rho in (0.0, 0.5)])
    assert false_calls(30, 0.9, 10_000)[1] < 0.05


def power(checkpoints, rho, slope, tokens=10_000):
    """The share of rising tokens (3 in 10, noise of 0.1 nats) that is called, before and after correction."""
    steps = unevenly(checkpoints)
    rising = np.arange(tokens) % 10 < 3
    nats = 5 + noise(checkpoints, tokens, rho) + slope * np.log(steps / steps[0])[:, None] * rising
    found = token_trends(series_of(nats, steps), 0.0)
    before, after = found.uncorrected[rising] == 0, found.corrected[rising] == 0
    return round(float(before.mean()), 3), round(float(after.mean()), 3)


def test_a_trend_of_a_fifth_an_e_fold_is_seen_in_twenty_checkpoints():
    assert power(20, 0.0, 0.2)[1] > 0.95
    assert power(20, 0.5, 0.2)[1] > 0.9


def test_a_line_for_every_token_equals_statsmodels_token_by_token():
    import statsmodels.api as sm
    from scipy.linalg import toeplitz

    steps = unevenly(17)
    x, values = np.log(steps), np.exp(noise(17, 60, 0.5) + 0.05 * np.log(steps)[:, None])
    design = sm.add_constant(x)
    for rho in (0.0, 0.4, 0.8, -0.3):
        ours = regress(values, x, rho)
        for token in range(values.shape[1]):
            theirs = sm.GLS(values[:, token], design, sigma=toeplitz(rho ** np.arange(17))).fit()
            said = [ours.slope[token], ours.error[token], ours.p[token]]
            assert said == pytest.approx([theirs.params[1], theirs.bse[1], theirs.pvalues[1]], rel=1e-8)
    plain = regress(values, x, 0.0)
    for token in range(values.shape[1]):
        theirs = sm.OLS(values[:, token], design).fit()
        assert [plain.slope[token], plain.p[token]] == pytest.approx([theirs.params[1], theirs.pvalues[1]], rel=1e-8)


def test_at_the_autocorrelation_that_statsmodels_finds_the_lines_agree():
    import statsmodels.api as sm
    from scipy.linalg import toeplitz

    x, values = np.log(unevenly(24)), np.exp(noise(24, 20, 0.6))
    for token in range(values.shape[1]):
        found = sm.GLSAR(values[:, token], sm.add_constant(x), 1)
        found.iterative_fit(20)
        rho = float(np.clip(found.rho[0], -0.99, 0.99))
        theirs = sm.GLS(values[:, token], sm.add_constant(x), sigma=toeplitz(rho ** np.arange(24))).fit()
        ours = regress(values[:, [token]], x, rho)
        assert [ours.slope[0], ours.p[0]] == pytest.approx([theirs.params[1], theirs.pvalues[1]], rel=1e-8)


def averaged_by_hand(y, x, nodes=400):
    """Slope, p and ρ averaged over a fine grid with dense matrices: nothing of the compiled loop is used."""
    design, freedom = np.column_stack([np.ones_like(x), x]), len(x) - 2
    places = np.linspace(*BETWEEN, nodes)
    weight, slope, p = np.empty(nodes), np.empty(nodes), np.empty(nodes)
    for place, rho in enumerate(places):
        inverse = np.linalg.inv(rho ** np.abs(np.subtract.outer(np.arange(len(x)), np.arange(len(x)))))
        g = np.linalg.inv(design.T @ inverse @ design)
        b = g @ design.T @ inverse @ y
        rss = (y - design @ b) @ inverse @ (y - design @ b)
        slope[place] = b[1]
        p[place] = 2 * stats.t.sf(abs(b[1]) / np.sqrt(rss / freedom * g[1, 1]), freedom)
        halves = np.linalg.slogdet(inverse)[1] + np.linalg.slogdet(g)[1] - freedom * np.log(rss)
        weight[place] = np.log(1 - rho) + halves / 2
    weight = np.exp(weight - weight.max())
    weight /= weight.sum()
    return weight @ slope, weight @ p, weight @ places


@pytest.mark.parametrize("checkpoints", [5, 6, 13, 30, 61])
def test_the_average_over_rho_is_what_dense_matrices_give(checkpoints):
    x, values = np.log(unevenly(checkpoints)), np.exp(noise(checkpoints, 8, 0.5))
    ours = regress(values, x)
    for token in range(8):
        slope, p, rho = averaged_by_hand(values[:, token], x)
        assert ours.slope[token] == pytest.approx(slope, rel=0.02, abs=1e-4)
        assert ours.p[token] == pytest.approx(p, rel=0.03)
        assert ours.rho[token] == pytest.approx(rho, abs=0.02)


@pytest.mark.parametrize("freedom", [1, 2, 3, 8, 28, 97, 300])
def test_the_tail_of_t_is_exact_far_out(freedom):
    t = np.r_[np.linspace(0, 8, 200), np.geomspace(8, 1e4, 50)]
    share = 1 - t * t / (freedom + t * t)
    ours = (freedom / (freedom + t * t)) ** (freedom / 2) * np.polyval(
        tail_polynomial(freedom), 2 * t / np.sqrt(freedom + t * t) - 1
    )
    theirs = 2 * stats.t.sf(t, freedom)
    seen = (theirs > 1e-280) & (share > 0)
    np.testing.assert_allclose(ours[seen], theirs[seen], rtol=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(5, 40), st.integers(1, 70), st.integers(0, 10**6))
def test_a_token_has_the_same_trend_whatever_stands_beside_it(checkpoints, tokens, seed):
    values = np.exp(np.random.default_rng(seed).normal(size=(checkpoints, tokens)))
    x = np.log(np.arange(1, checkpoints + 1))
    whole = regress(values, x)
    for token in {0, tokens // 2, tokens - 1}:
        alone = regress(values[:, [token]], x)
        assert (whole.slope[token], whole.p[token], whole.rho[token]) == (alone.slope[0], alone.p[0], alone.rho[0])
    assert ((whole.p >= 0) & (whole.p <= 1)).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(5, 30), st.floats(1e-3, 1e3), st.integers(0, 10**6))
def test_a_scale_scales_the_slope_and_a_mirror_turns_its_sign(checkpoints, scale, seed):
    values = np.exp(np.random.default_rng(seed).normal(size=(checkpoints, 5)))
    x = np.log(np.arange(1, checkpoints + 1))
    plain, scaled, turned = regress(values, x), regress(scale * values, x), regress(-values, x)
    np.testing.assert_allclose(scaled.slope, scale * plain.slope, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(scaled.p, plain.p, rtol=1e-6)
    np.testing.assert_allclose(turned.slope, -plain.slope, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(turned.p, plain.p, rtol=1e-6)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=200))
def test_the_false_discovery_rate_is_that_of_others(p):
    ours = false_discovery(np.array(p))
    np.testing.assert_allclose(ours, stats.false_discovery_control(p), atol=1e-15)
    np.testing.assert_allclose(ours, benjamini_hochberg(p), atol=1e-15)


def made_by_hand():
    """Tokens of known fate: flat, rising, falling, off after the start, jagged but level."""
    steps = np.arange(1000, 21_000, 1000)
    x = np.log(steps / steps[0])
    wobble = 0.001 * np.sin(np.arange(20.0) * 2)
    off = np.where(np.arange(20) == 0, 0.0, 0.2) + 0.05 * (-1.0) ** np.arange(20)
    columns = [0 * x, wobble, 0.3 * x + wobble, -0.3 * x + wobble, off]
    return series_of(2 + np.stack(columns, axis=1), steps)


def test_tokens_of_known_fate_get_their_class():
    found = token_trends(made_by_hand(), 0.0)
    named = [CLASSES[code] for code in found.corrected]
    assert named == ["stagnated", "stagnated", "upward", "downward", "undecided"]
    assert found.regressions.p[0] == pytest.approx(1.0)
    assert found.regressions.slope[2] > 0 > found.regressions.slope[3]


def test_both_readings_of_the_third_class_are_given():
    (row,) = trends([made_by_hand()], TrendOptions(starts=(0.0,))).shares.rows
    assert row.shares == {"upward": 0.2, "downward": 0.2, "stagnated": 0.4, "undecided": 0.2}
    assert row.not_up_not_down == pytest.approx(0.6)


def test_the_same_bytes_whatever_the_size_of_a_block(monkeypatch):
    run = sample.runs(count=1000)[1]
    whole = token_trends(run, 0.1)
    monkeypatch.setattr(rooms, "BLOCK", 37)
    cut = token_trends(run, 0.1)
    assert whole.q.tobytes() == cut.q.tobytes()
    assert whole.corrected.tobytes() == cut.corrected.tobytes()


def test_a_start_is_the_first_checkpoint_that_has_seen_its_share_of_the_steps():
    run = sample.runs(count=30)[0]
    steps = [run.steps[run.begins(start)] for start in (0.0, 0.1, 0.3, 0.52, 0.999)]
    assert steps == [10, 1000, 3000, 5500, 10_000]
    rows = trends([run], TrendOptions(starts=(0.1, 0.9))).shares.rows
    assert [row.checkpoints for row in rows] == [19, 3]
    assert rows[1].shares["upward"] is None
    assert rows[1].why == {"shares": "3 checkpoints at or after this start; a trend needs 5"}


def test_shares_add_up_and_lie_in_their_intervals():
    for row in trends(sample.runs()).shares.rows:
        for shares in (row.shares, row.shares_uncorrected):
            assert sum(shares.values()) == pytest.approx(1.0)
        assert all(row.shares_low[name] <= row.shares[name] <= row.shares_high[name] for name in CLASSES)


def test_the_interval_of_a_share_covers_what_more_text_would_give():
    """Tokens in blocks of five are alike: an interval that took them for independent would cover too seldom."""
    inside = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        codes = np.where(np.repeat(random.random(400) < 0.3, 5), rooms.UPWARD, rooms.UNDECIDED).astype(np.int8)
        low, high = rooms._interval(codes)
        inside += bool(low[0] <= 0.3 <= high[0])
    assert inside >= 51  # of 60 at 95 %: fewer in 1 of 1,000 cases


@given(st.lists(st.tuples(st.booleans(), st.integers(-50, 50)), min_size=2, max_size=40))
def test_all_shifts_at_once_are_the_shifts_one_by_one(pairs):
    chosen = np.array([one for one, _ in pairs])
    values = np.array([value for _, value in pairs], np.float64)
    by_hand = [values[np.roll(chosen, shift)].sum() for shift in range(len(pairs))]
    np.testing.assert_allclose(shifted_sums(chosen, values), by_hand, atol=1e-9)


def test_containment_by_chance_is_the_size_of_the_other_set():
    found = trends(sample.runs())
    assert found.containment.rows
    for row in found.containment:
        assert row.by_chance == pytest.approx(row.tokens_within / 1200)
        assert row.both <= min(row.tokens, row.tokens_within)
    other = {(row.trend, row.set_of, row.inside): row for row in found.containment}
    learned = other["downward", "small", "large"]
    assert learned.contained > 0.85 > learned.chance_high
    assert learned.p < 0.01
    assert learned.nested_low > 0.5
    assert learned.nested == other["downward", "large", "small"].nested
    assert learned.contained_low <= learned.contained <= learned.contained_high


def test_tokens_that_a_small_run_forgets_rise_and_fall_again_in_larger_ones():
    rows = {(row.set_of, row.model): row for row in trends(sample.runs()).descent}
    own, middle, large = (rows["small", name] for name in ("small", "middle", "large"))
    assert own.own
    assert not own.found
    for row, peak in ((middle, 5.0), (large, 4.0)):
        assert row.found
        assert row.null < row.bump
        exact = 10 * np.exp(peak)
        nearest = min(sample.STEPS, key=lambda step: abs(np.log(step / exact)))
        assert row.peak_from <= nearest <= row.peak_to


def test_a_spike_of_the_whole_text_is_no_double_descent_of_a_set():
    runs = sample.runs(count=800)
    quiet = runs[0].nats.copy()
    quiet[6:9] += 1.0
    shocked = ScoredSeries("shocked", runs[0].steps, quiet, runs[0].tokens, 10**7, runs[0].trained)
    rows = [row for row in trends([runs[0], shocked]).descent if row.model == "shocked" and row.set_of == "small"]
    assert [row.found for row in rows] == [False]
    assert rows[0].bump > 0.5


def test_the_largest_bump_of_a_curve_is_the_lesser_of_rise_and_fall():
    curves = np.array([[5.0, 1.0], [1.0, 2.0], [4.0, 3.0], [2.0, 4.0], [3.0, 5.0]])
    size, peak = bumps(curves)
    assert size.tolist() == [2.0, 0.0]
    assert peak[0] == 2


def test_two_checkpoints_of_one_perplexity_are_compared_token_by_token():
    first = sample.runs(count=600)[2]
    same = ScoredSeries("same", first.steps, first.nats, first.tokens, first.parameters + 1, first.trained)
    rows = trends([first, same]).pairs.rows
    assert [row.step_small for row in rows] == list(first.steps)
    assert all(row.r == pytest.approx(1.0) for row in rows if row.step_small == row.step_large)
    noise_ = np.random.default_rng(0).normal(size=(2, 3000))
    r, low, high = correlation(noise_[0], 0.5 * noise_[0] + noise_[1])
    assert r == pytest.approx(np.corrcoef(noise_[0], 0.5 * noise_[0] + noise_[1])[0, 1])
    assert low < r < high < 1


def test_size_adds_nothing_where_perplexity_decides():
    runs = sample.runs(count=400)
    random = np.random.default_rng(1)
    out = []
    for size, run in enumerate(runs):
        level = np.linspace(4.0 - 0.3 * size, 2.0 - 0.3 * size, len(run.steps))[:, None]
        slopes = np.where(sample.kinds_of(400) == 1, 1.0, 0.0)[None, :]
        nats = level * slopes + 3 + 0.01 * random.normal(size=run.nats.shape)
        out.append(ScoredSeries(run.model, run.steps, nats.astype(np.float32), run.tokens, run.parameters))
    gains = [row.gain for row in trends(out).size if row.trend == "downward"]
    assert gains
    assert all(abs(gain) < 0.01 for gain in gains)
    learned = sample.kinds_of(400) == 1
    apart = np.where(learned, 1.0, -learned.sum() / (~learned).sum()).astype(np.float32)  # the text's mean stays
    moved = [
        ScoredSeries(one.model, one.steps, one.nats + np.float32(0.2 * place) * apart, one.tokens, one.parameters)
        for place, one in enumerate(out)
    ]
    assert all(row.gain > 0.01 for row in trends(moved).size if row.trend == "downward")


def test_a_sentence_ends_at_its_full_stop_in_both_languages():
    text = "One two. 猫が好き。次の文\nlast"
    spans = np.array([[at, at + 1] for at in range(len(text))], np.int64)
    tokens = Tokens((text,), np.zeros(len(text), np.int32), np.zeros(len(text), np.int32), spans)
    numbers = sentences(tokens)
    said = ["".join(text[at] for at in np.flatnonzero(numbers == number)) for number in range(numbers.max() + 1)]
    assert said == ["One two. ", "猫が好き。", "次の文\n", "last"]
    words = np.array([[0, 3], [3, 7], [7, 8], [8, 10], [10, 14]], np.int64)  # "One", " two", ".", " 猫", "が好き。"
    tokens = Tokens((text,), np.zeros(5, np.int32), np.zeros(5, np.int32), words)
    assert sentences(tokens).tolist() == [0, 0, 0, 1, 1]


def test_the_tokens_of_a_passage_put_together_are_the_text():
    found = trends(sample.runs())
    texts = {}
    for row in found.passages:
        texts.setdefault((row.passage, row.model), []).append(row.text)
    assert len(texts) == 9
    whole = sample.text_of(1200).texts[0]
    assert all("".join(parts) in whole for parts in texts.values())


def test_an_exponential_average_keeps_what_it_is_told():
    values = np.random.default_rng(0).normal(size=50)
    assert exponential_average(values, 0.0).tolist() == values.tolist()
    by_hand = [sum(0.7 * 0.3**back * values[9 - back] for back in range(9)) + 0.3**9 * values[0]]
    assert exponential_average(values, 0.3)[9] == pytest.approx(by_hand[0])


def test_runs_of_other_tokens_are_counted_and_not_compared():
    runs = sample.runs(count=300)
    other = Tokens(runs[0].tokens.texts, runs[0].tokens.text, runs[0].tokens.token_id + 1, runs[0].tokens.characters)
    strange = ScoredSeries("strange", runs[2].steps, runs[2].nats, other, runs[2].parameters)
    found = trends([runs[0], strange])
    assert {row.model for row in found.shares} == {"small", "strange"}
    assert {row.model for row in found.followed} == {"small"}
    assert any("strange: other tokens than those of small" in note for note in found.shares.notes)


def test_everything_twice_is_the_same_and_holds_in_json():
    said = [
        json.dumps([one.records() for one in trends(sample.runs(count=400)).findings], allow_nan=False) for _ in "ab"
    ]
    assert said[0] == said[1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"starts": ()}, {"starts": (1.0,)}, {"starts": (-0.1,)}, {"starts": (float("nan"),)}, {"sample": 0.0},
        {"sample": 1.5}, {"smooth": 1.0}, {"against": "weather"}, {"follow": (("small", "sideways"),)},
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(wrong):
    with pytest.raises(UsageError):
        TrendOptions(**wrong)


def test_runs_that_cannot_be_told_apart_or_are_not_there_are_refused():
    runs = sample.runs(count=50)
    with pytest.raises(UsageError, match="different names"):
        trends([runs[0], runs[0]])
    with pytest.raises(UsageError, match="no run is called"):
        trends(runs, TrendOptions(follow=(("huge", "upward"),)))
    untold = ScoredSeries("untold", runs[0].steps, runs[0].nats, runs[0].tokens)
    with pytest.raises(UsageError, match="--against flops: not known of untold"):
        trends([untold], TrendOptions(against="flops"))
    with pytest.raises(UsageError, match="steps rise"):
        ScoredSeries("wrong", (5, 5), runs[0].nats[:2], runs[0].tokens)
    with pytest.raises(UsageError, match="no trend"):
        regress(np.ones((3, 2)), [1.0, 1.0, 1.0])
    with pytest.raises(UsageError, match="no autocorrelation"):
        regress(np.ones((3, 2)), [1.0, 2.0, 3.0], 1.0)


def test_what_shares_and_sets_are_held_against_stands_in_their_rows():
    fields = {"step": "step", "tokens": "trained", "flops": "flops", "ppl": "text_ppl"}
    for against in ("start", "size", "step", "tokens", "flops", "ppl"):
        found = trends(sample.runs(600), TrendOptions(starts=(0.1, 0.5), against=against))
        shares = {"start": "start", "size": "parameters", "ppl": "ppl"}.get(against, fields.get(against))
        assert all(row.x == getattr(row, shares) and row.against == against for row in found.shares.rows)
        assert all(row.x == getattr(row, fields.get(against, "step")) for row in found.followed.rows)
        assert {row.against for row in found.followed.rows} == {against if against in fields else "step"}


def test_slopes_stay_on_the_logarithm_of_the_step_whatever_shares_are_held_against():
    plain, other = (trends(sample.runs(600), TrendOptions(against=one)).shares.rows for one in ("start", "ppl"))
    assert [row.shares for row in plain] == [row.shares for row in other]


def test_a_bump_is_dated_at_its_three_turns_and_drawn_where_it_lies():
    rows = trends(sample.runs(1200), TrendOptions(starts=(0.1,))).descent.rows
    found = [row for row in rows if row.found]
    assert found
    for row in found:
        turns = {point.turn: point.step for point in row.curve if point.turn}
        assert turns == {"low": row.low_step, "peak": row.peak_step, "end": row.end_step}
        assert row.low_step < row.peak_step < row.end_step
        assert row.low_from <= row.low_step <= row.low_to
        assert row.peak_from <= row.peak_step <= row.peak_to
        assert row.end_from <= row.end_step <= row.end_to
        by_step = {point.step: point for point in row.curve}
        assert np.log(by_step[row.peak_step].ppl / by_step[row.low_step].ppl) == pytest.approx(row.rise)
        assert all(point.ppl_low <= point.ppl <= point.ppl_high for point in row.curve)


def test_the_null_of_a_pair_is_the_quantile_over_every_shift():
    random = np.random.default_rng(2)
    a = np.convolve(random.normal(size=400), np.ones(5), "same")
    b = a + random.normal(size=400)
    every = [np.corrcoef(a, np.roll(b, shift))[0, 1] for shift in range(1, 400)]
    assert by_shifting(a, b) == pytest.approx(np.quantile(every, 0.95))
    assert by_shifting(np.ones(10), b[:10]) is None


def test_pairs_of_one_perplexity_lie_above_their_null_where_tokens_differ_in_kind():
    rows = trends(sample.runs(1200), TrendOptions(starts=(0.1,))).pairs.rows
    assert rows
    assert all(row.r_low > row.r_null for row in rows)
    assert all(row.r_neighbour_low <= row.r_neighbour <= row.r_neighbour_high for row in rows)
