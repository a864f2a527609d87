"""Errors that are the user's to mend, and the one helper that asks for an optional package.

Domain errors subclass ValueError or RuntimeError and live beside the code that raises them
(`FastaError` in `data/formats/fasta.py`). The command line prints the message of every `HelixError`
as one line; anything else is a defect of ours and shows a traceback.
"""

import importlib
from types import ModuleType


class HelixError(Exception):
    """Something that the user can mend: the message says where, what was found, what to do."""


class InputError(HelixError, ValueError):
    """A file, a record or a value that the user gave does not hold what it must."""


class StateError(HelixError, RuntimeError):
    """A folder or a run is not in the state that the command needs."""


def require(module: str, extra: str) -> ModuleType:
    """Import an optional module, or say how to install it.

    Parameters
    ----------
    module : str
        Name of the module, such as ``"wandb"``.
    extra : str
        The extra of helixlm that brings it, such as ``"track"``.

    Returns
    -------
    ModuleType
        The imported module.

    Raises
    ------
    StateError
        If the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise StateError(
            f"this needs the package {module!r}, which is not installed: "
            f"pip install '.[{extra}]' in helixlm's folder"
        ) from error
