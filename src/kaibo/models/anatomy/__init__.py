"""Configs and tensor names in; what each tensor is, and what the model is made of, out.

- `catalogue`: the families, each a TOML file beside it
- `naming`: which layer and role a tensor's name means
- `settings`, `expressions`: a stranger's config, read under the anatomy's words
- `counting`: parameters by role
- `attention`: heads, windows and the cache, drawn
- `positions`: rotary base and scaling
- `templates`: chat template and special tokens
- `architecture`, `remarks`: all of it together, with sentences
- `checking`: the config's promise against the header of the weights
"""

from kaibo.models.anatomy.architecture import architecture
from kaibo.models.anatomy.catalogue import UNKNOWN, families
from kaibo.models.anatomy.checking import check_parameters
from kaibo.models.anatomy.naming import Anatomy, Position, anatomy_for, family_of

__all__ = [
    "UNKNOWN",
    "Anatomy",
    "Position",
    "anatomy_for",
    "architecture",
    "check_parameters",
    "families",
    "family_of",
]
