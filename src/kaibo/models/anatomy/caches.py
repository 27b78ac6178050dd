"""A config in, what each layer keeps of a text out: keys and values, windows of them, states that do not grow.

The rows come from transformers' own cache after passes of 64 and 300 tokens (`tools/anatomy`). A layer with a window
of w tokens keeps w − 1 between two steps: the newest token brings its own. Latent attention keeps the compressed
vector and the rotary key. A family whose cache was never measured is not guessed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from kaibo.models.anatomy.catalogue import GENERATED, Family, Keeping, family, family_name, generated
from kaibo.models.anatomy.expressions import evaluate, nouns
from kaibo.models.anatomy.settings import Settings, settings_of, texts_in
from kaibo.vocabulary import Kept


def kept_of(config: Mapping[str, Any], name: str) -> tuple[Kept, ...] | None:
    """What the layers of the language model keep; None where it was not measured or the config does not say enough."""
    measured = next(_measured(config, name), None)
    if measured is None:
        return None
    settings = settings_of(config, measured)
    layers = settings.depth
    found = [one for row in measured.cache or () for one in _kept(row, measured, settings, layers)]
    if None in found or not layers or set(measured.lists) & set(settings.reader.malformed):
        return None
    if _windowed(settings.reader.config) and not any(row.window for row in measured.cache or ()):
        return None  # it was measured without windows, which this config has
    if measured.layered:
        return tuple(one for one in found if one is not None and one.layers)
    added: dict[tuple[str, int, int | None], int] = {}
    for one in found:
        if one is not None and one.layers:
            key = one.kind, one.layers, one.window
            added[key] = added.get(key, 0) + one.values
    return tuple(Kept(kind, values, many, window) for (kind, many, window), values in added.items())


def _windowed(config: Mapping[str, Any]) -> bool:
    """Whether a config says that some layers look back no farther than a window."""
    if type(config.get("sliding_window")) is not int:
        return False
    kinds = config.get("layer_types")
    listed = isinstance(kinds, list) and any("sliding" in one for one in kinds if isinstance(one, str))
    return listed or config.get("use_sliding_window") is True


def _measured(config: Mapping[str, Any], name: str) -> Iterator[Family]:
    """Families whose cache was measured, that of the innermost config first."""
    said = [part.get("model_type") for part in (config, *texts_in(config))]
    for model_type in (*reversed(said), name.removeprefix(GENERATED)):
        if isinstance(model_type, str) and (known := _file(model_type)) is not None:
            found = family(known)
            if found.cache is not None:
                yield found


def _file(model_type: str) -> str | None:
    """The generated file of a type, else the one written by hand."""
    return GENERATED + model_type if generated(model_type) else family_name(model_type)


def _kept(row: Keeping, measured: Family, settings: Settings, layers: int) -> Iterator[Kept | None]:
    if not nouns(row.numbers) & set(measured.layered):
        yield _of(row, evaluate(row.numbers, settings.values()), settings.times(row.conditions, layers), settings)
        return
    found = Counter(
        evaluate(row.numbers, settings.values(layer))
        for layer in range(layers)
        if settings.holds(*row.conditions, layer=layer, layers=layers)
    )
    yield from (_of(row, values, many, settings) for values, many in found.items())


def _of(row: Keeping, values: int | None, many: int, settings: Settings) -> Kept | None:
    if values is None or values < 0:
        return None
    if not row.window:
        return Kept(row.kind, values, many)
    key = re.split("[-/]", row.window)[0]
    config = settings.reader.config
    if key in config and config[key] is None:  # a window that is null is none
        return Kept("token", values, many)
    window = evaluate(row.window, settings.dimensions)
    if window is not None and window < 0:  # a window of 0 is how a family says that it has none
        return Kept("token", values, many)
    return None if window is None else Kept(row.kind, values, many, window)
