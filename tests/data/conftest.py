"""Fixtures of the data tests."""

import resource
from collections.abc import Callable, Iterator

import pytest


@pytest.fixture
def small_files() -> Iterator[Callable[[int | None], None]]:
    """A disk that is full early: after the call no file can grow above so many bytes.

    None makes room again.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda limit: resource.setrlimit(
        resource.RLIMIT_FSIZE, (before[0] if limit is None else limit, before[1])
    )
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
