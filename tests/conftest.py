"""What all tests share."""

import resource

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call():
    """Lift a file-size limit that a test has set, before pytest writes the result.

    Some tests lower the limit to act as a full disk. Standard output may be a file too.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        return (yield)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
