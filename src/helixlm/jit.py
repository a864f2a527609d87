"""Compiled loops: numba's compiler, with its machine code kept on disk where there is a place."""

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function for the types that it is called with; other threads run meanwhile.

    Where neither the package's folder nor the user's cache folder can be written, as in some
    containers, it is compiled anew in each process.
    """
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba found no place for its cache
        return njit(nogil=True)(function)
