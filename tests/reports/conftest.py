"""The samples of findings stand beside the tests of figures."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "figures"))
