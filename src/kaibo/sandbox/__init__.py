"""Code from strangers runs here and harms nothing: a program and a problem go in, a verdict comes out.

A sample runs in a process of its own behind walls (`ways`, `inside.walls`) and gives back plain values; a desk, in
another such process, runs the problem's test and compares; kaibo itself only carries lines between the two.
"""

from kaibo.sandbox.choosing import chosen, proven
from kaibo.sandbox.judging import Desk
from kaibo.sandbox.limits import VERDICTS, VERSION, Judged, Limits
from kaibo.sandbox.problems import Problem, of_test, problems, samples
from kaibo.sandbox.ways import Way

__all__ = [
    "VERDICTS",
    "VERSION",
    "Desk",
    "Judged",
    "Limits",
    "Problem",
    "Way",
    "chosen",
    "of_test",
    "problems",
    "proven",
    "samples",
]
