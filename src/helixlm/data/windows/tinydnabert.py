"""TinyDNABERT's windows: a walk from left to right in steps of random length.

A contig is cut into blocks of 1 Mbp, a block into pieces at every N, and a piece is walked from
left to right in steps of random length; what remains at its end and is shorter than the shortest
window is lost. The published script differs from the paper's text ("randomly split ... into
segments ranging from 256 to 1024 base pairs") in two places, and each is a switch:

* the script has a border every 1,000,000 bp that no window crosses, of which the text says
  nothing: ``block_bp=None`` removes it;
* it draws lengths with ``np.random.randint(256, min(remaining, 1024))``, whose upper bound is
  exclusive, so no window has 1,024 bp, and a walk that could end exactly at the end of its piece
  never does except with a last window of 256: ``upper_bound="inclusive"`` follows the text.

The script upper-cases; here the case stays, and a lower-case n counts as N.

References
----------
TinyDNABERT, https://github.com/ForestsKing/TinyDNABERT, `1_dataset.py` at commit f705389c.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from pydantic import Field, model_validator

from helixlm.data.formats.fasta import Chunk
from helixlm.data.runs import Letters
from helixlm.data.windows.base import CHUNK_BP, Dropped, Window, WindowSettings, read
from helixlm.rng import CounterRng

_DRAWN_AT_ONCE = 256

_PARTS = {
    "keep": re.compile(r"(?P<gap>[Nn]+)|(?P<piece>[^Nn]+)"),
    "split": re.compile(r"(?P<gap>[Nn]+)|(?P<piece>[ACGTacgt]+)|(?P<iupac>[^ACGTNacgtn]+)"),
}

Draw = Callable[[int, int], int]


class TinyDnabertWindows(WindowSettings):
    """Windows of random lengths side by side."""

    kind: Literal["tinydnabert"] = "tinydnabert"
    """TinyDNABERT's walk."""
    block_bp: int | None = Field(default=1_000_000, gt=0)
    """No window crosses a multiple of this, bp from the start of the contig; null: no border."""
    min_bp: int = Field(default=256, gt=0)
    """Shortest window, bp."""
    max_bp: int = Field(default=1024, gt=0)
    """Longest window, bp; reached only with an inclusive upper bound."""
    upper_bound: Literal["exclusive", "inclusive"] = "exclusive"
    """Lengths are drawn from min_bp to max_bp - 1, as the script does, or to max_bp."""
    iupac: Literal["keep", "split"] = "keep"
    """Letters such as R or Y stay in the windows, or cut the sequence as N does."""

    @model_validator(mode="after")
    def _check(self) -> "TinyDnabertWindows":
        least = self.min_bp + (self.upper_bound == "exclusive")
        if self.max_bp < least:
            raise ValueError(
                f"max_bp {self.max_bp}: expected at least {least} with min_bp {self.min_bp} and an "
                f"{self.upper_bound} upper bound"
            )
        if self.block_bp is not None and self.block_bp < self.min_bp:
            raise ValueError(
                f"block_bp {self.block_bp}: expected at least min_bp {self.min_bp}, or null"
            )
        return self

    @property
    def chunk_bp(self) -> int:
        """How many bp a chunk given to `segments` must have: one block, where there are blocks."""
        return self.block_bp or max(CHUNK_BP, self.max_bp)


def cut_tinydnabert(
    letters: Letters,
    contig: str,
    config: TinyDnabertWindows,
    seed: int,
    start: int,
    stop: int,
) -> Iterator[Window | Dropped]:
    """Cut the blocks of a contig from `start` to `stop`; see `kinds.cut`."""
    step = config.chunk_bp
    chunks = (
        Chunk(contig, low, read(letters, low, min(low + step, stop)), low + step >= len(letters))
        for low in range(start, stop, step)
    )
    return segments(chunks, config, seed)


def segments(
    chunks: Iterable[Chunk], config: TinyDnabertWindows, seed: int
) -> Iterator[Window | Dropped]:
    """Cut contigs into windows and say what is dropped, in the order of the sequence.

    Parameters
    ----------
    chunks : iterable of Chunk
        Contigs one after the other, in chunks of `config.chunk_bp` (the last of a contig may be
        shorter).
    config : TinyDnabertWindows
        The settings.
    seed : int
        Window lengths in a block are drawn from ``CounterRng("windows", seed, contig, start of
        the block)``, so that they depend on nothing but the block. Without block borders the
        contig is one block that starts at 0.

    Yields
    ------
    Window or Dropped
        Neighbours touch, and together they cover each contig. No more than a chunk and a window
        is held in memory.
    """
    walk: _Walk | None = None
    for chunk in chunks:
        assert chunk.start % config.chunk_bp == 0, "chunks are not those of config.chunk_bp"
        assert chunk.last or len(chunk.sequence) == config.chunk_bp, "a chunk is not a whole one"
        if walk is None:
            draw = randint(CounterRng("windows", seed, chunk.contig, chunk.start))
            short = chunk.start == 0 and chunk.last and len(chunk.sequence) < config.min_bp
            walk = _Walk(chunk.contig, config, draw, contig_is_short=short)
        closed = chunk.last or config.block_bp is not None
        yield from walk.feed(chunk.start, chunk.sequence, closed=closed)
        if closed:
            walk = None


def tinydnabert_windows(
    block: Chunk, config: TinyDnabertWindows, rng: CounterRng
) -> Iterator[Window]:
    """Cut one block into windows as TinyDNABERT does.

    Parameters
    ----------
    block : Chunk
        A whole block (or a whole contig).
    config : TinyDnabertWindows
        The settings; `block_bp` plays no part.
    rng : CounterRng
        Where the lengths are drawn from, one word for each window that is not the last of exactly
        `min_bp`.

    Yields
    ------
    Window
        In the order of the sequence.
    """
    walk = _Walk(block.contig, config, randint(rng), contig_is_short=False)
    for segment in walk.feed(block.start, block.sequence, closed=True):
        if isinstance(segment, Window):
            yield segment


def walk_lengths(
    remaining: int, config: TinyDnabertWindows, draw: Draw, *, closed: bool = True
) -> Iterator[int]:
    """Yield the lengths of the windows of one piece, from left to right.

    Parameters
    ----------
    remaining : int
        Length of the piece, bp.
    config : TinyDnabertWindows
        The settings.
    draw : callable
        ``draw(low, high)`` gives an integer in [low, high), as `numpy.random.randint` does.
    closed : bool
        Whether the piece ends here. If more of it follows, the walk halts where what follows could
        change the next window.

    Yields
    ------
    int
        A window length, bp.
    """
    extra = config.upper_bound == "inclusive"
    while remaining > config.max_bp or (closed and remaining >= config.min_bp):
        if remaining == config.min_bp:
            length = remaining
        else:
            length = draw(config.min_bp, min(remaining, config.max_bp) + extra)
        yield length
        remaining -= length


def randint(rng: CounterRng) -> Draw:
    """Return a function whose calls equal those of `rng.integer`, several times as fast.

    It takes words from `rng` in batches, so `rng` must not be used otherwise afterwards.
    """
    words: Iterator[int] = iter(())

    def draw(low: int, high: int) -> int:
        nonlocal words
        word = next(words, None)
        if word is None:
            words = iter((rng.words(_DRAWN_AT_ONCE) >> 32).tolist())
            word = next(words)
        return low + (word * (high - low) >> 32)

    return draw


class _Walk:
    """The walk through one block, which may arrive in several stretches."""

    def __init__(
        self, contig: str, config: TinyDnabertWindows, draw: Draw, *, contig_is_short: bool
    ) -> None:
        self.contig = contig
        self.config = config
        self.draw = draw
        self.reason_if_uncut = "short_contig" if contig_is_short else "short_piece"
        self.piece = ""  # what is still uncut of the piece at hand
        self.start = 0  # where that begins in the contig
        self.is_cut = False  # whether the piece has given a window

    def feed(self, start: int, text: str, *, closed: bool) -> Iterator[Window | Dropped]:
        """Walk on through `text`, which begins at `start`; `closed`: the block ends with it."""
        for part in _PARTS[self.config.iupac].finditer(text):
            kind = part.lastgroup
            assert kind is not None
            if kind == "piece":
                if not self.piece and not self.is_cut:
                    self.start = start + part.start()
                self.piece += part.group()
            else:
                yield from self._advance(closed=True)
                yield Dropped(self.contig, start + part.start(), start + part.end(), kind)
        yield from self._advance(closed=closed)

    def _advance(self, *, closed: bool) -> Iterator[Window | Dropped]:
        position = 0
        for length in walk_lengths(len(self.piece), self.config, self.draw, closed=closed):
            start = self.start + position
            sequence = self.piece[position : position + length]
            yield Window(self.contig, start, start + length, sequence)
            position += length
            self.is_cut = True
        self.piece = self.piece[position:]
        self.start += position
        if closed:
            if self.piece:
                reason = "tail" if self.is_cut else self.reason_if_uncut
                yield Dropped(self.contig, self.start, self.start + len(self.piece), reason)
            self.piece, self.is_cut = "", False
