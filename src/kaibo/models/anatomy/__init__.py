"""Configs and tensor names in; what each tensor is, and what the model is made of, out.

- `catalogue`: the families, each a TOML file beside it
- `naming`: which layer and role a tensor's name means
"""

from kaibo.models.anatomy.catalogue import UNKNOWN, families
from kaibo.models.anatomy.naming import Anatomy, Position, anatomy_for, family_of

__all__ = ["UNKNOWN", "Anatomy", "Position", "anatomy_for", "families", "family_of"]
