"""One function per command: open, collect, analyse, hand back a finding.

Each takes addresses (or a single one) and plain options, asks the store first, and returns a `Finding`. With
`on_error` given, a model that cannot be read is handed to it and the others go on; without it the error is raised.
"""

from kaibo.verbs.census import CensusRow, census
from kaibo.verbs.digits import digits
from kaibo.verbs.dissect import Dissection, dissect
from kaibo.verbs.doctor import CheckRow, doctor
from kaibo.verbs.inspect import inspect
from kaibo.verbs.measuring import Settings
from kaibo.verbs.stats import stats

__all__ = [
    "CensusRow",
    "CheckRow",
    "Dissection",
    "Settings",
    "census",
    "digits",
    "dissect",
    "doctor",
    "inspect",
    "stats",
]
