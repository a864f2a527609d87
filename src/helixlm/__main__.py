"""`python -m helixlm` is the command `helixlm`."""

from helixlm.cli.main import run

run()
