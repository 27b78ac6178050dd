from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaibo.errors import UsageError
from kaibo.scoring.batches import Job, batches
from kaibo.scoring.texts.windows import Windowing, windows


@given(st.integers(0, 300), st.integers(2, 40), st.data(), st.booleans())
def test_every_token_is_scored_once_and_the_first_only_behind_a_leading_one(
    tokens: int, context: int, data: st.DataObject, lead: bool
) -> None:
    how = Windowing(context, data.draw(st.integers(1, context - 1)))
    scored = [token for window in windows(tokens, how, lead) for token in range(window.first, window.end)]
    assert scored == list(range(0 if lead else 1, tokens))


@given(st.integers(1, 300), st.integers(3, 40), st.data(), st.booleans())
def test_no_window_is_longer_than_the_context_and_each_token_has_what_was_promised_before_it(
    tokens: int, context: int, data: st.DataObject, lead: bool
) -> None:
    stride = data.draw(st.integers(1, context - 1))
    for place, window in enumerate(windows(tokens, Windowing(context, stride, context - stride), lead)):
        assert window.length <= context
        assert place == 0 or window.first - window.begin >= context - stride


def test_windows_that_leave_too_little_before_a_token_are_refused() -> None:
    with pytest.raises(UsageError, match="--context-min 8"):
        Windowing(16, 12, 8)
    with pytest.raises(UsageError, match="stride of 16"):
        Windowing(16, 16)


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 200))
def test_batches_hold_every_window_once_within_their_size(lengths: list[int], size: int) -> None:
    jobs = [Job(at, 0, windows(length, Windowing(64, 32), False)[0]) for at, length in enumerate(lengths)]
    found = list(batches(jobs, size))
    assert sorted(job.document for batch in found for job in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or len(batch) * batch[0].window.length <= size for batch in found)
    assert found == list(batches(jobs[::-1], size))
