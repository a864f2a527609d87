"""Checks on real data: ``make test-real DATA=FOLDER``. They are not part of ``make test``."""

import hashlib
import os
from pathlib import Path

import pytest

DNABERT2_SHA256 = "5d178e8ce2ba55df97fff197f4b30f40133b95d7096be398c2df6b526c5d8cd3"


@pytest.fixture(scope="session")
def data():
    name = os.environ.get("HELIXLM_DATA")
    if not name or not Path(name).is_dir():
        pytest.fail("HELIXLM_DATA names no folder: run `make test-real DATA=FOLDER`")
    return Path(name)


@pytest.fixture(scope="session")
def golden():
    """The folder of tiny models with outputs of the authors' own code; see its README."""
    beside = Path(os.environ.get("HELIXLM_DATA", "")).parent / "golden"
    folder = Path(os.environ.get("HELIXLM_GOLDEN") or beside)
    if not folder.is_dir():
        pytest.fail(f"{folder}: no such folder: set HELIXLM_GOLDEN, or put it beside DATA")
    return folder


@pytest.fixture(scope="session")
def published(golden):
    """DNABERT-2's own tokenizer.json."""
    path = golden / "dnabert2_tokenizer.json"
    if not path.exists():
        pytest.fail(f"{path}: no such file: DNABERT-2's tokenizer.json is expected there")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == DNABERT2_SHA256
    return path
