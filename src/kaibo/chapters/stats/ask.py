"""`kaibo stats`: moments, norms, tails, entropy, hidden grids."""

from __future__ import annotations

from collections.abc import Iterable

from kaibo.chapters.stats import experts as mixtures
from kaibo.chapters.stats import magnitudes as powers
from kaibo.chapters.stats import profile as depth
from kaibo.chapters.stats import statistics
from kaibo.chapters.stats.rows import GRIDS, ExpertRow, GridRow, MagnitudeRow, ProfileRow, StatsRow
from kaibo.collect import Options, granted_workers
from kaibo.collect.grids import look_for_groups
from kaibo.counting import Groups
from kaibo.desk.addresses import Address, OnError, addresses, raising
from kaibo.desk.measuring import Settings, measurable, measured, rows_of, with_notes
from kaibo.errors import KaiboError, MissingError
from kaibo.models import open_model
from kaibo.version import __version__
from kaibo.vocabulary import By, Finding, Tensor
from kaibo.words import note


def stats(
    models: Address | Iterable[Address],
    by: By = "model",
    *,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Finding[StatsRow]:
    """Statistics of the weights by model, layer, role or tensor.

    Raises UsageError for an unknown level, and whatever opening and reading the models raises.
    """
    collected = measurable(measured(models, settings, on_error), on_error)
    return with_notes(statistics.stats(rows_of(collected), by), collected)


def profile(
    models: Address | Iterable[Address], *, settings: Settings | None = None, on_error: OnError | None = None
) -> Finding[ProfileRow]:
    """σ, kurtosis and digit distance of every role in every layer: what the profiles over depth draw."""
    return depth.profile(rows_of(measured(models, settings, on_error)))


def magnitudes(
    models: Address | Iterable[Address], *, settings: Settings | None = None, on_error: OnError | None = None
) -> Finding[MagnitudeRow]:
    """How the weights of each model spread over powers of two, beside Gaussians with their σ."""
    return powers.magnitudes(rows_of(measured(models, settings, on_error)))


def experts(
    models: Address | Iterable[Address], *, settings: Settings | None = None, on_error: OnError | None = None
) -> Finding[ExpertRow]:
    """The experts of each model: sizes, likeness, rows of the router. Reads their weights once; nothing is kept.

    A model without experts is an error. Raises what opening and reading raise.
    """
    settings, report = settings or Settings(), on_error or raising
    rows: list[ExpertRow] = []
    for address in addresses(models):
        try:
            model = open_model(address, trust_shards=settings.trust_shards)
            found = mixtures.experts(model, settings.forming())
            if not found:
                raise MissingError("holds no experts", file=address, next="--by role says what it holds")
            rows += found
        except KaiboError as error:
            if settings.fail_fast or error.kind in ("storage", "stopped"):
                raise
            report(error)
    return mixtures.of_models(rows)


CERTAIN = 0.99
"""Share of the varied groups that must be coarse; among random weights of 8 bits or more none is."""

NOTES = (
    note("grid_coarse"),
    note("grid_random"),
)


def grids(
    models: Address | Iterable[Address], *, settings: Settings | None = None, on_error: OnError | None = None
) -> Finding[GridRow]:
    """For every weight tensor whether it lies on a 4-bit grid by groups. Reads all weights once.

    Raises what opening and reading raise.
    """
    settings, report = settings or Settings(), on_error or raising
    options = Options(workers=granted_workers(settings.workers), progress=settings.progress)
    rows: list[GridRow] = []
    for address in addresses(models):
        try:
            model = open_model(address, trust_shards=settings.trust_shards, as_stored=settings.as_stored)
            rows += [_row(address, tensor, found) for tensor, found in look_for_groups(model, options)]
        except KaiboError as error:
            report(error)
    return Finding(GRIDS, tuple(rows), NOTES, {"kaibo": __version__})


def _row(model: str, tensor: Tensor, found: tuple[Groups, ...]) -> GridRow:
    varied = [groups for groups in found if groups.varied]
    certain = [groups for groups in varied if groups.coarse >= CERTAIN * groups.varied]
    chosen = certain[-1] if certain else varied[0] if varied else None
    if chosen is None:
        return GridRow(model, tensor.canonical, tensor.role, None, 0, None, None)
    grid = f"4 bits by groups of {chosen.size}" if certain else None
    share = chosen.coarse / chosen.varied
    return GridRow(model, tensor.canonical, tensor.role, chosen.size, chosen.varied, share, grid)
