"""Progress on the terminal: bars where there is one, a line now and then where there is none."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

PLAIN_SECONDS = 30.0
"""Seconds between lines where the output is not a terminal."""


class Terminal:
    """A `Reporter` that draws with rich on standard error."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)

    def line(self, text: str) -> None:
        """Print one line, however long: a log is searched by lines."""
        self.console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def stage(
        self, title: str, total: int | None = None
    ) -> Iterator[Callable[[int, int | None], None]]:
        """Draw a bar that counts up to `total`.

        Where the total changes, or the count falls back, another phase of the work has begun, and
        the estimate of the time left begins anew.
        """
        with self._bar(title, total) as update:
            yield lambda done, known: update(done, known or total, "")

    @contextmanager
    def training(
        self, title: str, total: int
    ) -> Iterator[Callable[[int, int, dict[str, Any]], None]]:
        """Draw a bar of steps with the newest figures beside it."""
        with self._bar(title, total) as update:
            shown: dict[str, str] = {}

            def advance(step: int, steps: int, metrics: dict[str, Any]) -> None:
                if metrics:
                    shown["text"] = describe(metrics)
                update(step, steps, shown.get("text", ""))

            yield advance

    @contextmanager
    def _bar(
        self, title: str, total: int | None
    ) -> Iterator[Callable[[int, int | None, str], None]]:
        begin = time.monotonic()
        if not self.console.is_terminal:
            self.line(f"{title} ...")
            yield self._lines(title, begin)
            self.line(f"{title}: done in {time.monotonic() - begin:.1f} s")
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}"),
        )
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(title, total=total, text="")

            def update(done: int, known: int | None, text: str) -> None:
                drawn = progress.tasks[0]
                if known != drawn.total or done < drawn.completed:
                    drawn.total = known  # `reset` keeps the old total where the new one is None
                    progress.reset(task, completed=done, text=text)
                else:
                    progress.update(task, completed=done, text=text)

            yield update

    def _lines(self, title: str, begin: float) -> Callable[[int, int | None, str], None]:
        said = begin
        first: tuple[float, int] | None = None  # when the phase began, and with what count
        last: tuple[int, int | None] = (0, None)

        def update(done: int, total: int | None, text: str) -> None:
            nonlocal said, first, last
            now = time.monotonic()
            if first is None or total != last[1] or done < last[0]:
                first = (now, done)
            last = (done, total)
            if now - said < PLAIN_SECONDS:
                return
            said = now
            of = f" of {total:,}" if total else ""
            left = ""
            if total and done > first[1]:
                seconds = (now - first[0]) / (done - first[1]) * (total - done)
                left = f", about {duration(seconds)} left"
            self.line(f"{title}: {done:,}{of}{left}{'  ' + text if text else ''}")

        return update


def describe(metrics: dict[str, Any]) -> str:
    """Write the newest training figures in one line."""
    parts = [f"loss {metrics['loss']:.3f}", f"{metrics['bits_per_base']:.3f} bits/base"]
    if metrics.get("lr") is not None:
        parts.append(f"lr {metrics['lr']:.2g}")
    if metrics.get("tokens_per_second"):
        parts.append(f"{metrics['tokens_per_second']:,.0f} tokens/s")
    if metrics.get("mfu"):
        parts.append(f"{metrics['mfu']:.0%} of peak")
    return "  ".join(parts)


def duration(seconds: float) -> str:
    """Write a time for a person.

    Examples
    --------
    >>> duration(42), duration(200), duration(10000)
    ('42 s', '3 min 20 s', '2 h 46 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
