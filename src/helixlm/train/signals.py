"""A stop that is asked for, not torn: SIGINT and SIGTERM end the run after the step under way."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class StopSignal:
    """Context in which SIGINT and SIGTERM set `name` instead of ending the process.

    A second signal of the same kind acts as it would have without the context, so an impatient
    user can still stop at once. Outside the main thread, where Python allows no handlers, nothing
    is installed.
    """

    WATCHED = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.name: str | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "StopSignal":
        if threading.current_thread() is threading.main_thread():
            for number in self.WATCHED:
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.name = signal.Signals(number).name
        signal.signal(number, self._previous[number])

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)


def leave_signals_to_the_loop(worker: int) -> None:
    """Let a loader worker live on when a terminal or a cluster signals the whole group.

    The loop finishes its step, saves, and ends its workers.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
