"""Work on many items: in this process, in several, or on a Ray cluster, with the same results.

In: a function of one item, and the items. Out: the results, in the order of the items. What an item
is, and where large results are written, is the caller's; a function that is sent to other processes
must be importable there, and what it depends on must be in its item, so that the number of workers
and the order in which they finish change nothing.

A worker that dies (out of memory, a machine that goes away) takes no result with it: its items are
given to others, see `MOST_TRIES`. A worker whose parent dies ends, whatever it is doing; items that
write files do so under names of their own (`files.own_name`), as one that is given out again may
still be in work elsewhere.

Worker processes import the script that is run, so what it does is to stand below
``if __name__ == "__main__":``.
"""

import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from helixlm.errors import StateError, require

ANSWER_SECONDS = 10
"""how long a cluster may take to answer"""

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_TRIES = 3
"""How often an item is tried before the run ends, because its worker died each time: on a cluster
in all; in processes after the first death, which may be another item's, each time alone."""
WAITING_ITEMS = 2
"""items given out for each worker, so that none waits for the next"""


class ComputeError(StateError):
    """Workers that cannot be had, or that die again and again."""


class Compute(BaseModel):
    """Where work is done. It changes no result, so it is no part of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int = Field(default=1, ge=1)
    """Processes on this machine; 1 is this process itself."""
    ray: str | None = None
    """Address of a Ray cluster ("auto", "host:port", or "local" for one on this machine), which
    takes the place of `workers`."""


class Workers:
    """Processes, or a cluster, that work on items; to be used as a context.

    Processes start when the first item is given out and last until the context ends, so that
    several stages of work share them.

    Parameters
    ----------
    compute : Compute
        Where to work.
    """

    def __init__(self, compute: Compute) -> None:
        self._compute = compute
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield the result of each item, in the order of the items.

        Parameters
        ----------
        function : callable
            At the top level of a module. Other processes import it.
        items : iterable
            Taken as workers become free, so there may be more than fit in memory.

        Yields
        ------
        object
            ``function(item)``. An error that it raises is raised here, when its turn comes.

        Raises
        ------
        ComputeError
            If a worker dies with the same item `MOST_TRIES` times, or if the cluster cannot be
            reached or this process works on another.
        """
        if self._compute.ray is not None:
            return _on_ray(function, items, self._compute.ray)
        if self._compute.workers == 1:
            return map(function, items)
        return self._in_processes(function, items)

    def _in_processes(
        self, function: Callable[[Item], Result], items: Iterable[Item]
    ) -> Iterator[Result]:
        source = iter(items)
        calls: deque[_Call] = deque()
        try:
            while True:
                for item in source:
                    calls.append(self._submit(function, item))
                    if len(calls) == WAITING_ITEMS * self._compute.workers:
                        break
                if not calls:
                    return
                call = calls.popleft()
                try:
                    result = call.future.result()
                except BrokenProcessPool:
                    # Which worker died is not known, so each item is tried alone.
                    self._stop()
                    result = _alone(function, call.item)
                    calls = deque(self._submit(function, item) for item, _ in calls)
                yield result
        finally:
            for call in calls:
                call.future.cancel()

    def _submit(self, function: Callable[[Item], Result], item: Item) -> "_Call":
        """Give an item out; if a worker has died meanwhile, its future says so."""
        if self._pool is None:
            self._pool = _start_pool(self._compute.workers)
        try:
            return _Call(item, self._pool.submit(function, item))
        except BrokenProcessPool as error:
            future: Future[Any] = Future()
            future.set_exception(error)
            return _Call(item, future)


class _Call(NamedTuple):
    item: Any
    future: "Future[Any]"


def _alone(function: Callable[[Item], Result], item: Item) -> Result:
    """Work on an item in a process of its own, so that a death is surely this item's."""
    for _ in range(MOST_TRIES):
        with _start_pool(1) as pool:
            try:
                return pool.submit(function, item).result()
            except BrokenProcessPool:
                continue
    raise ComputeError(
        f"a worker process died {MOST_TRIES} times on the same part of the work: the machine may "
        "have too little memory (use fewer workers), or the system's log says why it was killed; "
        "or this is a script of yours whose work does not stand below 'if __name__ == "
        '"__main__":\', which worker processes would begin again; '
        "what is finished is kept, and the same command goes on from there"
    )


def _start_pool(workers: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")  # threads of this process are not copied
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker)


def _begin_worker() -> None:
    """Let Ctrl-C reach the parent alone, which then ends the workers; end when it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)  # nothing is told to a parent that is gone


def _call(function: Callable[[Item], Result], item: Item) -> Result:
    """Work on an item; Ray takes no functions that are built in."""
    return function(item)


def _check_answer(address: str) -> None:
    """Raise OSError if nothing listens at ``host:port``; Ray itself would wait for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()


def _check_same(address: str, at_work: str) -> None:
    """Raise ComputeError if ``host:port`` is not the cluster that this process works on.

    An address of loopback may be any of this machine's, so that only its port tells.
    """
    host, colon, port = address.rpartition(":")
    if not (colon and port.isdigit()) or "://" in address:
        return
    other, _, other_port = at_work.rpartition(":")
    try:
        found = {socket.gethostbyname(host), socket.gethostbyname(other)}
    except OSError:
        found = {host, other}
    loopback = any(name.startswith("127.") for name in found)
    if port != other_port or (len(found) > 1 and not loopback):
        raise ComputeError(
            f"--ray {address}: this process works on another Ray cluster already, {at_work}: call "
            "ray.shutdown() first, or give that address"
        )


def _on_ray(
    function: Callable[[Item], Result], items: Iterable[Item], address: str
) -> Iterator[Result]:
    ray = require("ray", "cluster")
    if ray.is_initialized():
        _check_same(address, ray.get_runtime_context().gcs_address)
    else:
        try:
            _check_answer(address)
            ray.init(address=address, log_to_driver=False, logging_level="warning")
        except (OSError, ValueError, RuntimeError) as error:
            raise ComputeError(
                f"--ray {address}: no Ray cluster answers there ({error}): start one with 'ray "
                "start --head', or give the address that it printed"
            ) from error
    task = ray.remote(num_cpus=1, max_retries=MOST_TRIES - 1)(_call)
    waiting = WAITING_ITEMS * max(1, int(ray.cluster_resources().get("CPU", 1)))
    source = iter(items)
    calls: deque[Any] = deque()
    try:
        while True:
            for item in source:
                calls.append(task.remote(function, item))
                if len(calls) >= waiting:
                    break
            if not calls:
                return
            try:
                result = ray.get(calls.popleft())
            except ray.exceptions.RayTaskError as error:
                raise error.cause from error
            except ray.exceptions.RayError as error:
                raise ComputeError(
                    f"--ray {address}: the cluster could not finish a part of the work in "
                    f"{MOST_TRIES} tries ({type(error).__name__}: {error}); what is finished is "
                    "kept, and the same command goes on from there"
                ) from error
            yield result
    finally:
        for call in calls:
            ray.cancel(call, force=True)  # otherwise one that is just beginning goes on
