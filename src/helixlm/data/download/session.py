"""HTTP with patience: one client for all files, time-outs, and retries that wait longer each time.

Every request goes through `Session.attempt`, which tries again what can pass (a broken or stalled
connection, 408, 425, 429, 500, 502, 503, 504) and gives up at once on what cannot (404 and the
rest). httpx2 itself tries again only to connect, and its time-outs hold for single reads, so
retries, ``Retry-After`` and the least rate are seen to here.
"""

import contextlib
import email.utils
import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import httpx2
from pydantic import BaseModel, ConfigDict, Field

from helixlm.errors import InputError
from helixlm.version import __version__

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 30.0
LEAST_BYTES_PER_SECOND = 1000
"""A connection that brings less, over the time after which it counts as stalled, is given up."""
LONGEST_TEXT = 1 << 26
"""Most bytes of a listing or a list of checksums: NCBI's longest are below 10 MB."""
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})

Result = TypeVar("Result")
_RANDOM = random.SystemRandom()


class DownloadError(InputError):
    """A file that cannot be had, or that is not what it should be."""


class Stopped(Exception):  # noqa: N818 - it says that nothing is wrong
    """Another thread has ended the job."""


class Passing(Exception):  # noqa: N818 - not an error until the tries are used up
    """What may be gone at the next try; `after` is how long the server asks to wait, in seconds."""

    def __init__(self, problem: str, after: float | None = None) -> None:
        super().__init__(problem)
        self.after = after


class SessionConfig(BaseModel):
    """How a server is treated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int = Field(4, ge=1, le=32)
    """Files fetched at once."""
    tries: int = Field(6, ge=1)
    """Tries in a row that bring nothing new, before a file is given up."""
    stall_seconds: float = Field(60.0, gt=0)
    """A connection that brings nothing, or less than 1,000 bytes a second, for so long is broken
    off and tried again."""
    first_wait_seconds: float = Field(1.0, ge=0)
    """Wait before the second try; it doubles with each further one."""
    longest_wait_seconds: float = Field(120.0, ge=0)
    """Most seconds to wait between tries, also where the server asks for more: then the file is
    given up at once."""


class Session:
    """A client of servers, shared by the threads of one job.

    Attributes
    ----------
    stop : threading.Event
        Ends waits and transfers of all threads once it is set.
    """

    def __init__(self, config: SessionConfig) -> None:
        self.config = config
        self.stop = threading.Event()
        self.client = httpx2.Client(
            timeout=httpx2.Timeout(
                config.stall_seconds, connect=min(CONNECT_SECONDS, config.stall_seconds), pool=None
            ),
            limits=httpx2.Limits(max_connections=config.workers),
            follow_redirects=True,
            # The bytes of the file are wanted, not another coding of them.
            headers={"User-Agent": f"helixlm/{__version__}", "Accept-Encoding": "identity"},
        )

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *error: object) -> None:
        self.client.close()

    def attempt(
        self, url: str, once: Callable[[], Result], progress: Callable[[], int] = lambda: 0
    ) -> Result:
        """Do something until it succeeds, fails for good, or has failed too often.

        Parameters
        ----------
        url : str
            What it is about, for messages.
        once : callable
            Does it; raises `Passing` for what may be gone next time.
        progress : callable
            Says how far things have got. A try that gets further than all before it is not counted,
            and the count begins anew, so that a long file survives any number of broken
            connections.

        Raises
        ------
        DownloadError
            If the tries are used up, or the server asks to wait for too long.
        Stopped
            If another thread has ended the job.
        """
        failed, furthest = 0, progress()
        while True:
            try:
                with _as_passing():
                    return once()
            except Passing as problem:
                if progress() > furthest:
                    failed, furthest = 0, progress()
                else:
                    failed += 1
                if failed >= self.config.tries:
                    raise DownloadError(
                        f"{url}: {problem}; given up after {failed} tries that brought nothing "
                        "new: run the same command again later, what was got is kept"
                    ) from problem
                self._wait(url, problem, failed)

    def _wait(self, url: str, problem: Passing, failed: int) -> None:
        """Wait before the next try: twice as long each time, less a random part of up to half."""
        longest = self.config.longest_wait_seconds
        if problem.after is not None and problem.after > longest:
            raise DownloadError(
                f"{url}: {problem}, and the server asks to come back in {problem.after:,.0f} s, "
                f"more than the {longest:,.0f} s that are waited: run the same command again then"
            ) from problem
        seconds = min(longest, self.config.first_wait_seconds * 2 ** min(max(failed - 1, 0), 30))
        # Jitter that no two processes share, so that they do not all come back at once.
        seconds = max(problem.after or 0.0, seconds * _RANDOM.uniform(0.5, 1.0))
        logger.info("%s: %s; trying again in %.1f s", url, problem, seconds)
        if self.stop.wait(seconds):
            raise Stopped

    def read_text(self, url: str) -> str | None:
        """Return a small text, such as a listing; None if the server has none there."""

        def once() -> str | None:
            with self.client.stream("GET", url) as response:
                if response.status_code in (404, 410):
                    return None
                check_status(url, response)
                body = bytearray()
                for block in self.watch(response.iter_bytes()):
                    body += block
                    if len(body) > LONGEST_TEXT:
                        raise DownloadError(f"{url}: expected a short text, found over 64 MB")
                return body.decode("utf-8", errors="replace")

        return self.attempt(url, once)

    def find_size(self, url: str) -> int | None:
        """Return the bytes of a file, or None where the server does not say so at once."""
        with contextlib.suppress(httpx2.HTTPError, httpx2.InvalidURL):
            response = self.client.head(url)
            length = response.headers.get("Content-Length", "")
            if response.status_code == 200 and length.isdecimal():
                return int(length)
        return None

    def watch(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Pass blocks on, and break off when they come too slowly or the job has ended."""
        window = self.config.stall_seconds
        begin, got = time.monotonic(), 0
        for block in blocks:
            if self.stop.is_set():
                raise Stopped
            yield block
            got += len(block)
            seconds = time.monotonic() - begin
            if seconds >= window:
                if got < LEAST_BYTES_PER_SECOND * seconds:
                    raise Passing(f"stalled: {got:,} bytes in {seconds:.0f} s")
                begin, got = time.monotonic(), 0


def check_status(url: str, response: httpx2.Response) -> None:
    """Raise unless a response brings what was asked for.

    Raises
    ------
    Passing
        If another try may succeed.
    DownloadError
        If it will not.
    """
    status = response.status_code
    if status in (200, 206):
        return
    said = f"the server answered {status} {response.reason_phrase}".rstrip()
    if status in _PASSING:
        raise Passing(said, _retry_after(response.headers.get("Retry-After", "")))
    advice = {
        401: "it wants a login, which helixlm does not give: fetch the file by hand",
        403: "it refuses the file: fetch it by hand, or check the address",
        404: "no such file there: check the address or accession in the manifest",
        410: "the file was taken away: look for its new address",
    }
    raise DownloadError(f"{url}: {said}: {advice.get(status, 'check the address')}")


def _retry_after(value: str) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or a date (RFC 9110, 10.2.3)."""
    if value.strip().isdecimal():
        return float(value)
    with contextlib.suppress(ValueError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return None


@contextlib.contextmanager
def _as_passing() -> Iterator[None]:
    """Turn what a connection can suffer into `Passing`."""
    try:
        yield
    except (httpx2.ReadTimeout, httpx2.WriteTimeout) as error:
        raise Passing("stalled: the server sent nothing more") from error
    except httpx2.ConnectTimeout as error:
        raise Passing("no connection: the server did not answer in time") from error
    except httpx2.ConnectError as error:
        raise Passing(f"no connection: {error}") from error
    except (httpx2.NetworkError, httpx2.RemoteProtocolError) as error:
        raise Passing(f"the connection broke: {error}") from error
    except (httpx2.RequestError, httpx2.InvalidURL) as error:
        raise DownloadError(f"cannot be fetched: {error}: check the address") from error
