"""Another checkpoint's weights in the place of one's: a LLaMA of the same config need not be built again."""

from __future__ import annotations

import os
from dataclasses import replace

from kaibo.llama import Causal, Llama, fill, read_config
from kaibo.llama.loading import matched
from kaibo.vocabulary import Model


def swapped(before: Causal, model: Model) -> Causal | None:
    """The model in the memory of the one before; None where the two are not of one shape.

    Raises FormatError where the folder is not what its config says.
    """
    held = getattr(before.runs, "model", None)
    if before.engine != "reference" or not isinstance(held, Llama) or dict(before.config) != dict(model.config):
        return None
    config = read_config(model.config, os.path.join(model.address, "config.json"))
    fill(held, matched(model, config))
    return replace(before, address=model.address, name=model.name)
