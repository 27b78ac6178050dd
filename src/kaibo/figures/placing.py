"""Where the names of points go so that they can be read: beside their point, where no other name or point is."""

from __future__ import annotations

from collections.abc import Sequence

Box = tuple[float, float, float, float]
OFFSETS = (
    *((7, 3, "left"), (-7, 3, "right"), (0, -8, "center"), (0, 14, "center")),
    *((8, -7, "left"), (8, 13, "left"), (-8, -7, "right"), (-8, 13, "right")),
)
"""Where a name may stand, the best place first; none so far off that it seems another point's."""


def text_width(text: str, size: float) -> float:
    """About how wide a text is in pixels: wide characters count a whole em, others a little over half."""
    return sum(size if ord(character) > 0x2E7F else 0.56 * size for character in text)


def place_labels(
    points: Sequence[tuple[float, float]], names: Sequence[str], width: float, height: float, size: float = 10
) -> list[tuple[float, float, str] | None]:
    """For each point (pixels), where its name goes (dx, dy, alignment), or None where every place is taken.

    Points are tried in the order given; the first are the surest to keep their name.
    """
    taken: list[Box] = [(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    out: list[tuple[float, float, str] | None] = []
    for own, ((x, y), name) in enumerate(zip(points, names, strict=True)):
        found = None
        for dx, dy, side in OFFSETS:
            box = _box(x + dx, y + dy, text_width(name, size), size, side)
            inside = box[0] >= 0 and box[2] <= width and box[1] >= 0 and box[3] <= height
            if inside and not any(_overlap(box, other) for place, other in enumerate(taken) if place != own):
                found = (dx, dy, side)
                taken.append(box)
                break
        out.append(found)
    return out


def _box(x: float, y: float, width: float, size: float, side: str) -> Box:
    left = x if side == "left" else x - width if side == "right" else x - width / 2
    return left, y - size, left + width, y + 2


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
