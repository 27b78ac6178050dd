"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from kaibo.vocabulary.kinds import Kind
from kaibo.words import note


@dataclass(frozen=True)
class FaultRow:
    """One thing that is wrong: its kind, the tensor (or what of the files) it is in, the evidence, what to do."""

    model: str
    kind: str
    tensor: str | None
    evidence: str
    next: str


@dataclass(frozen=True)
class CheckRow:
    """A model and all that is wrong with it; `sound` where nothing is, None where too little of it was seen to say.

    `remarks` are what a reader should know and what is no fault: rows of padding, tokens that are kept free.
    `verdict` is the sentence of it.
    """

    model: str
    model_id: str
    verdict: str
    sound: bool | None
    findings: tuple[FaultRow, ...]
    remarks: tuple[FaultRow, ...]
    tensors: int
    parameters: int
    seen: float | None = None
    why: Mapping[str, str] = field(default_factory=dict)


CHECK = Kind(
    "check", CheckRow, __package__, label="check.verdict", columns=("model", "verdict", "tensors", "parameters", "seen")
)
FAULTS = Kind(
    "check-findings",
    FaultRow,
    __package__,
    terms={"kind": "faults"},
    label="check.findings",
    columns=("model", "kind", "tensor", "evidence", "next"),
)
REMARKS = replace(FAULTS, name="check-remarks", label="check.remarks")


@dataclass(frozen=True)
class Fault:
    """A fault before it is known whose: kind, tensor, evidence."""

    kind: str
    tensor: str | None
    evidence: str

    def of(self, model: str) -> FaultRow:
        """The row of a model."""
        return FaultRow(model, self.kind, self.tensor, self.evidence, note(f"advice.{self.kind}"))


def fault(kind: str, tensor: str | None, **values: object) -> Fault:
    """A fault whose evidence is the note `fault_KIND`, its {blanks} filled."""
    return Fault(kind, tensor, note(f"fault_{kind.replace('-', '_')}", **values))
