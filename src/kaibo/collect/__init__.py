"""The only room that moves data: models in, rows out, the store asked first and told afterwards."""

from kaibo.collect.censuses import Collected, Options, take_census, take_identity
from kaibo.collect.watch.progress import Progress, progress_bar, quiet
from kaibo.collect.watch.stopping import Stopping
from kaibo.collect.watch.training import TrainingBar, training_bar
from kaibo.collect.watch.workers import granted_workers

__all__ = [
    "Collected",
    "Options",
    "Progress",
    "Stopping",
    "TrainingBar",
    "granted_workers",
    "progress_bar",
    "quiet",
    "take_census",
    "take_identity",
    "training_bar",
]
