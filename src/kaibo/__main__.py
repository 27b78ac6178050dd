"""`python -m kaibo` is `kaibo`."""

from kaibo.cli import main

main()
