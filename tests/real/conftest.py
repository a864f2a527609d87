"""Checks on real data: ``make test-real DATA=FOLDER``. They are not part of ``make test``."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data():
    name = os.environ.get("HELIXLM_DATA")
    if not name or not Path(name).is_dir():
        pytest.fail("HELIXLM_DATA names no folder: run `make test-real DATA=FOLDER`")
    return Path(name)
