"""How a verb tells what it is doing: stages with a count, an estimate, and plain lines.

Library code calls a `Reporter`; `Silent` says nothing, and the command line brings one that draws
bars. Nothing here prints.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

StageProgress = Callable[[int, int | None], None]
"""Called as progress(done, total); total None if it is not known."""


class Reporter(Protocol):
    """Where a verb reports to."""

    def stage(self, title: str, total: int | None = None) -> AbstractContextManager[StageProgress]:
        """Open a stage; the value is called with what is done and what there is in all."""

    def training(
        self, title: str, total: int
    ) -> AbstractContextManager[Callable[[int, int, dict[str, Any]], None]]:
        """Open a training loop; the value is called with step, steps and the newest metrics."""

    def line(self, text: str) -> None:
        """Say one line."""


class Silent:
    """A reporter that says nothing."""

    @contextmanager
    def stage(self, title: str, total: int | None = None) -> Iterator[StageProgress]:
        """Open a stage that is not shown."""
        yield lambda done, total: None

    @contextmanager
    def training(
        self, title: str, total: int
    ) -> Iterator[Callable[[int, int, dict[str, Any]], None]]:
        """Open a training loop that is not shown."""
        yield lambda step, steps, metrics: None

    def line(self, text: str) -> None:
        """Drop the line."""
