"""What is made of several models' probabilities: `A-B`, `0.5*A + 0.5*B`, a weight between −1 and 1 for each."""

from __future__ import annotations

import re

from kaibo.errors import UsageError

_TERM = re.compile(r"\s*+([+-])?+\s*+(?:(\d++(?:\.\d*+)?+|\.\d++)\s*+\*?+\s*+)?+([A-Z])\s*+")


def weights_of(text: str, models: int) -> tuple[float, ...]:
    """The weight of each model, A the first; a model that is not named has 0.

    Raises UsageError for what cannot be read, for a model that was not given, for a weight outside [−1, 1] and
    where no weight is above 0, so that nothing could be left.

    >>> weights_of("A-B", 2), weights_of("0.5*A + .5B", 2)
    ((1.0, -1.0), (0.5, 0.5))
    """
    found = [0.0] * models
    at = 0
    while at < len(text) or not text.strip():
        term = _TERM.match(text, at)
        if term is None or (at and term[1] is None):
            raise UsageError(f'--combine "{text}" cannot be read at "{text[at : at + 20]}"', next='--combine "A-B"')
        place = ord(term[3]) - ord("A")
        if place >= models:
            raise UsageError(f'--combine "{text}" names {term[3]}, but {models} models were given')
        found[place] += float(term[2] or 1) * (-1 if term[1] == "-" else 1)
        at = term.end()
    outside = next((weight for weight in found if abs(weight) > 1), None)
    if outside is not None:
        raise UsageError(f'--combine "{text}" has the weight {outside:g}', next="weights lie between -1 and 1")
    if max(found) <= 0:
        raise UsageError(f'--combine "{text}" has no weight above 0: no token would be left')
    return tuple(found)
