"""Findings of models that were run, made up: a context curve and a tour."""

from kaibo.chapters import kinds
from kaibo.vocabulary import Finding
from kaibo.vocabulary.running import ContextRow, Point, TourRow


def context_finding():
    losses = [
        ContextRow("m", rope, "loss", 8 * n, 8 * n + 8, n > 7, 3 - 0.05 * n, 2.9 - 0.05 * n, float("nan"), 4)
        for rope in ("none", "yarn:2")
        for n in range(16)
    ]
    found = [ContextRow("m", "none", "passkey", 0, 64, False, 0.5, 0.2, 0.8, 5)]
    return Finding(kinds()["context"], (*losses, *found))


def tour_finding():
    squares = [
        Point(f"{kind}:{m}", float(n), m - n / 2)
        for kind in ("absolute", "relative", "rotary")
        for m in range(3)
        for n in range(m + 1)
    ]
    lines = [Point("1e4", float(x), 1 / x) for x in range(1, 9)]
    stops = (("positions", tuple(squares)), ("base", tuple(lines)))
    return Finding(
        kinds()["tour"], tuple(TourRow(stop, "f", {}, None, None, None, "s", points) for stop, points in stops)
    )
