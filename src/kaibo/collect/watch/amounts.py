"""How much is done, and how fast, in a progress bar: bytes as bytes, everything else by its name."""

from __future__ import annotations

from rich.filesize import decimal
from rich.progress import ProgressColumn, Task
from rich.text import Text


class Amount(ProgressColumn):
    """Done and total."""

    def render(self, task: Task) -> Text:
        """For one piece of work."""
        return Text(
            f"{_shown(task.completed, task)}/{_shown(task.total or 0, task, unit=True)}", style="progress.download"
        )


class Rate(ProgressColumn):
    """So much a second."""

    def render(self, task: Task) -> Text:
        """For one piece of work."""
        speed = task.finished_speed or task.speed
        return Text("?" if speed is None else f"{_shown(speed, task, unit=True)}/s", style="progress.data.speed")


def _shown(amount: float, task: Task, *, unit: bool = False) -> str:
    name = task.fields.get("unit", "bytes")
    if name == "bytes":
        return decimal(int(amount))
    return f"{int(amount):,} {name}" if unit else f"{int(amount):,}"
