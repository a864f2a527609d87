"""helixlm: from a genome to a DNA language model that can be trusted.

The verbs of the command line are functions here, with the same names for the same arguments:
`simulate`, `prepare`, `train_tokenizer`, `pretrain`, `finetune`, `predict`, `demo`; and `load`
returns a model and its tokenizer. Importing this package is fast: torch and the other heavy
libraries are imported when a function that needs them is first used.
"""

import importlib
from typing import Any

from helixlm.version import __version__

_HOMES = {
    "load": "helixlm.predict",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'helixlm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
