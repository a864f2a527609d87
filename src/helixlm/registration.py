"""Our classes in transformers' Auto classes, as soon as a program has both, in either order.

`transformers` offers no entry point for classes of others: each must be registered by code that
runs. That code imports torch and transformers, which ``import helixlm`` must not; so it waits, and
runs when the module that holds the Auto classes is first imported, or at once if it is there.
"""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

OURS = {
    "transformers.models.auto.modeling_auto": "helixlm.models.auto",
    "transformers.models.auto.tokenization_auto": "helixlm.tokenizers.auto",
}
"""Modules of transformers, and ours that register classes with them when they are imported."""


class _Follow(MetaPathFinder):
    """Finds the modules of transformers as always, and lets ours follow each."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to import a module that ours follows; None for all others."""
        if name not in OURS:
            return None
        spec = PathFinder.find_spec(name, path, target)
        loader = None if spec is None else spec.loader
        if loader is not None:
            run = loader.exec_module

            def run_both(module: ModuleType) -> None:
                run(module)
                importlib.import_module(OURS[name])

            loader.exec_module = run_both  # type: ignore[method-assign]
        return spec


def register() -> None:
    """Register our classes with transformers, now or when its Auto classes are imported."""
    for theirs, ours in OURS.items():
        if theirs in sys.modules:
            importlib.import_module(ours)
    if not any(isinstance(finder, _Follow) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Follow())
