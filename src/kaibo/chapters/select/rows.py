"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kaibo.vocabulary.kinds import Kind


@dataclass(frozen=True)
class SelectRow:
    """The choice for one budget. `value` is −trace(XᵀX (X_SᵀX_S)⁻¹), higher is better; `exact` says that no choice
    is better, else `gap` bounds by how much one could be (`bound` − `value`).
    """

    budget: float
    families: tuple[str, ...]
    models: tuple[str, ...]
    value: float
    exact: bool
    cost: float
    gap: float
    why: Mapping[str, str] = field(default_factory=dict)

    @property
    def spent(self) -> float:
        """`cost` under the name that tables give it."""
        return self.cost

    @property
    def chosen(self) -> tuple[str, ...]:
        """`families` under the name that tables give them."""
        return self.families


SELECT = Kind(
    "select",
    SelectRow,
    __package__,
    columns=("budget", "value", "exact", "gap", "spent", "chosen"),
    label="select.title",
)
