"""What the tests of the command line share."""

import pytest

from helixlm.cli.main import run


@pytest.fixture
def helixlm(capsys):
    """Call the command line in this process; return exit status, output and errors."""

    def call(*arguments):
        status = 0
        try:
            run([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = stop.code or 0
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call
