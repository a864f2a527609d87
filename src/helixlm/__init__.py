"""helixlm: from a genome to a DNA language model that can be trusted.

The verbs of the command line are functions here, with the same names for the same arguments:
`simulate`, `download`, `prepare`, `push_corpus`, `fetch_corpus`, `train_tokenizer`, `pretrain`,
`finetune`, `compare`, `predict`, `convert`, `push_model`, `profile`, `demo`; `load` returns a model
and its tokenizer, `load_recipe` a configuration. transformers finds our models in its Auto classes
once this package is imported. Importing it is fast: torch and the other heavy libraries are
imported when a function that needs them is first used.
"""

import importlib
from typing import Any

from helixlm.registration import register
from helixlm.version import __version__

_HOMES = {
    "compare": "helixlm.tasks.compare",
    "convert": "helixlm.pipeline.convert",
    "demo": "helixlm.pipeline.demo",
    "download": "helixlm.data.download",
    "fetch_corpus": "helixlm.data.hub",
    "finetune": "helixlm.tasks.finetune",
    "list_recipes": "helixlm.recipes.load",
    "load": "helixlm.inference",
    "load_recipe": "helixlm.recipes.load",
    "predict": "helixlm.inference",
    "prepare": "helixlm.pipeline.prepare",
    "pretrain": "helixlm.pipeline.pretrain",
    "profile": "helixlm.pipeline.profile",
    "push_corpus": "helixlm.pipeline.hub",
    "push_model": "helixlm.pipeline.hub_model",
    "simulate": "helixlm.data.simulate",
    "train_tokenizer": "helixlm.pipeline.prepare",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'helixlm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


register()
