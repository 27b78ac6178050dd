"""`kaibo nursery`: a family of small models, made here, to take apart."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaibo.chapters.probe.ask import PROBE
from kaibo.chapters.train.ask import identity
from kaibo.collect import Stopping, TrainingBar
from kaibo.desk.measuring import Settings, open_store
from kaibo.recipes.nurseries.ablation import AblationRow
from kaibo.recipes.probes.samples import Sample
from kaibo.recipes.runs.account import RunRow
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.kinds import Kind
from kaibo.words import written

if TYPE_CHECKING:
    from kaibo.recipes.nurseries.ablation import AblationRow
    from kaibo.recipes.probes.judging import ProbeRow
    from kaibo.recipes.probes.samples import Sample


NURSERY = Kind(
    "nursery",
    RunRow,
    __package__,
    columns=(
        "run",
        "kind",
        "base",
        "data",
        "seed",
        "learning_rate",
        "steps",
        "tokens",
        "loss_first",
        "loss_last",
        "seconds",
        "how",
    ),
)
SAMPLES = Kind(
    "samples",
    Sample,
    __package__,
    columns=(
        "run",
        "step",
        "prompt",
        "text",
    ),
)
ABLATION = Kind(
    "ablation",
    AblationRow,
    __package__,
    columns=(
        "part",
        "choice",
        "parameters",
        "seeds",
        "loss",
        "loss_low",
        "loss_high",
        "beyond",
        "tokens_per_second",
        "kv_bytes_per_token",
        "mae",
        "mae_low",
        "mae_high",
    ),
)


@dataclass(frozen=True)
class Nursery:
    """A nursery that is made: its runs, what the first and last checkpoints of the family write, and `nursery.json`.

    `manifest` is the path of that file, `members` how many models it lists, `seconds` what each phase took this time;
    `ablation` has rows with the preset of that name only, `probes` those of the children that were asked whether they
    still answer.
    """

    runs: Finding[RunRow]
    samples: Finding[Sample]
    ablation: Finding[AblationRow]
    manifest: str
    members: int
    seconds: Mapping[str, float]
    probes: Finding[ProbeRow]


def nursery(
    folder: str | os.PathLike[str],
    preset: str = "demo",
    *,
    settings: Settings | None = None,
    bar: TrainingBar | None = None,
    force: bool = False,
) -> Nursery:
    """Makes a family of reference LLaMAs in `folder`, with variants and fine-tuned children, or what is missing of it.

    Presets: `demo` (four minutes on two cores), `small` (half an hour), `medium` (one GPU), `ablation` (parts of the
    smallest exchanged, three seeds each). `force` replaces runs of the same name that had other inputs. Raises
    UsageError for another preset, MissingError without the extra `train`, StorageError for a full disk or a folder
    with other runs, StoppedError when stopped: the same call goes on from there.
    """
    _patient_threads()
    from kaibo.recipes.loading import require_training

    require_training()
    from kaibo.recipes.nurseries.manifest import read_manifest
    from kaibo.recipes.nurseries.nursery import nursery as made
    from kaibo.recipes.nurseries.nursery import preset_named
    from kaibo.recipes.probes.samples import Sample
    from kaibo.recipes.runs.workshop import Workshop

    settings = settings or Settings()
    store = open_store(settings.store)
    chosen = preset_named(preset)
    rows: list[RunRow] = []
    with Stopping() as stopping:
        shop = Workshop(
            Path(folder),
            lambda address: identity(address, store, settings),
            bar or TrainingBar(False),
            lambda: stopping.signal is not None,
            force,
        )
        for row in made(chosen, shop):
            store.record_runs([row])
            rows.append(row)
            stopping.check()
    content: dict[str, Any] = read_manifest(Path(folder))
    finding = Finding(
        NURSERY, tuple(rows), (written(content["notice"], "nursery_texts"),), {"kaibo": __version__, "preset": preset}
    )
    said = Finding(SAMPLES, tuple(Sample(**sample) for sample in content["samples"]), (), finding.provenance)
    exchanged = tuple(_measured(row) for row in content.get("ablation", []))
    asked = tuple(_asked(row) for row in content.get("probes", []))
    return Nursery(
        runs=finding,
        samples=said,
        ablation=Finding(ABLATION, exchanged, (), finding.provenance),
        manifest=str(Path(folder) / "nursery.json"),
        members=len(content["members"]),
        seconds=content["seconds"],
        probes=Finding(PROBE, asked, (), finding.provenance),
    )


def _asked(record: Mapping[str, Any]) -> ProbeRow:
    """A row of a probe under the name of its run, which in the manifest stands beside the model's path."""
    from kaibo.recipes.probes.judging import ProbeRow

    values = {name: value for name, value in record.items() if name != "run"}
    return ProbeRow(**{**values, "model": record["run"], "faults": tuple(record["faults"])})


def _measured(record: Mapping[str, Any]) -> AblationRow:
    """A row of the ablation's table as it was before JSON, which has no NaN."""
    from kaibo.recipes.nurseries.ablation import AblationRow

    values: dict[str, Any] = {name: math.nan if value is None else value for name, value in record.items()}
    return AblationRow(**values)


def _patient_threads() -> None:
    """Threads that wait for each other give their core away soon: on a busy machine they would else spin for ever.

    Read by GNU OpenMP when torch is first loaded; whoever sets it, wins.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
