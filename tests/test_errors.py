"""The errors that the command line shows as one line, and the helper for optional packages."""

import json

import pytest

from helixlm.errors import HelixError, InputError, StateError, require


def test_domain_errors_are_builtin_errors_too():
    assert issubclass(InputError, HelixError)
    assert issubclass(InputError, ValueError)
    assert issubclass(StateError, HelixError)
    assert issubclass(StateError, RuntimeError)
    assert not issubclass(HelixError, ValueError)


def test_require_gives_the_module():
    assert require("json", "track") is json
    assert require("os.path", "track").join("a", "b") == "a/b"


def test_require_says_how_to_install_what_is_missing():
    message = (
        r"^this needs the package 'no_such_package', which is not installed: "
        r"pip install '\.\[track\]' in helixlm's folder$"
    )
    with pytest.raises(StateError, match=message) as caught:
        require("no_such_package", "track")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
