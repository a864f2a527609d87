"""All kinds of windows behind one type and one function.

In: a contig's letters and the settings of one kind. Out: its windows and what is in none. A contig
may be cut in parts, by several processes: the parts together give what the whole gives.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field

from helixlm.data.repeats import RepeatReport
from helixlm.data.runs import Letters
from helixlm.data.windows.base import Dropped, Window, WindowError, read, too_much_n
from helixlm.data.windows.coding import CodingWindows
from helixlm.data.windows.dnabert import DnabertWindows, cut_dnabert
from helixlm.data.windows.features import Feature, FeatureWindows, cut_features
from helixlm.data.windows.fixed import FixedWindows, cut_fixed
from helixlm.data.windows.pieces import PieceWindows
from helixlm.data.windows.repeatfree import RepeatFreeWindows, cut_repeatfree
from helixlm.data.windows.tinydnabert import TinyDnabertWindows, cut_tinydnabert
from helixlm.seq.ops import reverse_complement

DEFAULT_KIND = "tinydnabert"


def _with_kind(values: Any) -> Any:
    """Let settings that name no kind be TinyDNABERT's."""
    if isinstance(values, dict) and "kind" not in values:
        return {"kind": DEFAULT_KIND, **values}
    return values


WindowConfig = Annotated[
    TinyDnabertWindows
    | FixedWindows
    | DnabertWindows
    | PieceWindows
    | FeatureWindows
    | RepeatFreeWindows
    | CodingWindows,
    Field(discriminator="kind"),
    BeforeValidator(_with_kind),
]
"""The settings of any kind of windows: the `windows` section of a recipe."""


def unit_bp(config: WindowConfig) -> int | None:
    """Return where a contig may be parted.

    Parameters
    ----------
    config : WindowConfig
        The settings.

    Returns
    -------
    int or None
        A length in bp: parts that begin and end at its multiples (the last, with the contig)
        give together what the whole contig gives. None: the contig is cut as a whole.
    """
    match config:
        case TinyDnabertWindows():
            return config.block_bp
        case PieceWindows():
            return config.grid.unit_bp
        case FixedWindows() | FeatureWindows() | CodingWindows():
            return config.unit_bp
        case DnabertWindows() | RepeatFreeWindows():
            return None


def cut(
    letters: Letters,
    contig: str,
    config: WindowConfig,
    seed: int,
    start: int = 0,
    stop: int | None = None,
    *,
    features: Sequence[Feature] = (),
    report: Callable[[RepeatReport], None] = lambda _: None,
) -> Iterator[Window | Dropped]:
    """Cut a contig, or a part of it, into windows and say what is dropped.

    Parameters
    ----------
    letters : NDArray, uint8, shape (L,)
        The whole contig in ASCII codes, IUPAC letters in the case of the file. It is only read,
        block by block, and may be a memory map.
    contig : str
        Its name.
    config : WindowConfig
        The settings.
    seed : int
        Of what is drawn at random.
    start, stop : int
        The part, bp: multiples of ``unit_bp(config)``, or 0 and L. The whole if not given.
    features : sequence of Feature
        What windows of the kind ``features`` are around; those on other contigs are passed over.
        Other kinds take none.
    report : callable
        Given what windows of the kind ``repeatfree`` keep of the contig, before the first of them.

    Yields
    ------
    Window or Dropped
        The windows that begin in [start, stop), and the stretches there that are in no window,
        also in none of another part, in the order of their starts. Over the parts of a contig,
        each base is in one window or more, or in exactly one dropped stretch. A window may reach
        beyond `stop`; dropped stretches do not.

    Raises
    ------
    WindowError
        If a feature does not lie in the contig or has no strand.
    """
    stop = len(letters) if stop is None else stop
    assert letters.dtype == np.uint8 and letters.ndim == 1, "letters are not one row of bytes"
    unit = unit_bp(config) or max(1, len(letters))
    for border in (start, stop):
        assert border == len(letters) or border % unit == 0, f"{border} is no multiple of {unit}"
    match config:
        case TinyDnabertWindows():
            return cut_tinydnabert(letters, contig, config, seed, start, stop)
        case FixedWindows():
            return cut_fixed(letters, contig, config, start, stop)
        case DnabertWindows():
            return cut_dnabert(letters, contig, config, seed)
        case PieceWindows():
            return cut_fixed(letters, contig, config.grid, start, stop)
        case FeatureWindows():
            return cut_features(letters, contig, config, features, start, stop)
        case RepeatFreeWindows():
            return cut_repeatfree(letters, contig, config, report)
        case CodingWindows():
            raise WindowError("coding sequences are spliced, not cut: see helixlm.data.coding")


def refill(window: Window, letters: Letters, config: WindowConfig) -> Window | str:
    """Put other letters, those of a haplotype, in the place of those of a window.

    Parameters
    ----------
    window : Window
        Its place and its strand stay.
    letters : NDArray, uint8, shape (L,)
        ASCII, forward strand; L may be 0.
    config : WindowConfig
        The settings by which the window was cut: `iupac` "n" and `n` "drop" hold for the new
        letters as for the old ones, and stretches are not cut again.

    Returns
    -------
    Window or str
        The window; or why it is left out, a key of `DROP_REASONS`: nothing is left of it, or there
        is more N than the settings allow.
    """
    if not len(letters):
        return "deleted"
    as_n = not isinstance(config, RepeatFreeWindows | CodingWindows) and config.iupac == "n"
    sequence = read(letters, 0, len(letters), "n" if as_n else "keep")
    if (
        isinstance(config, FixedWindows | PieceWindows | FeatureWindows)
        and config.n == "drop"
        and too_much_n(sequence, config.max_n_fraction)
    ):
        return "n_content"
    if window.strand == "-":
        sequence = reverse_complement(sequence)
    return window._replace(sequence=sequence)
