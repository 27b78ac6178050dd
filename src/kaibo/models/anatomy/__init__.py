"""Configs and tensor names in; what each tensor is, and what the model is made of, out.

- `catalogue`: the families, each a TOML file beside it, or in `generated/`, written by `tools/anatomy`
- `naming`: which layer and role a tensor's name means
- `settings`, `expressions`: a stranger's config, read under the anatomy's words
- `conditions`: when a tensor is there, and in which layers
- `counting`: parameters by role; `wholes`: models of several parts; `promising`: every tensor that a config promises
- `attention`: heads and windows, drawn; `caches`: what each layer keeps
- `quantising`: how the weights are packed, as the config says it
- `positions`: rotary base and scaling
- `templates`: chat template and special tokens
- `architecture`, `remarks`: all of it together, with sentences
- `checking`: the config's promise against the header of the weights
"""

from kaibo.models.anatomy.architecture import architecture
from kaibo.models.anatomy.catalogue import UNKNOWN, families
from kaibo.models.anatomy.checking import check_further, check_parameters
from kaibo.models.anatomy.naming import Anatomy, Position, anatomy_for, family_of

__all__ = [
    "UNKNOWN",
    "Anatomy",
    "Position",
    "anatomy_for",
    "architecture",
    "check_further",
    "check_parameters",
    "families",
    "family_of",
]
