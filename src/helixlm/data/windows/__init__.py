"""Windows: the stretches of a genome that a model is trained on, and what is left out.

In: the letters of a contig. Out: windows with their coordinates, and the stretches that are in no
window, with the reason; together they cover each contig. One kind of windows is one module with its
settings: `tinydnabert`, `fixed`, `dnabert`, `pieces` (Nucleotide Transformer, dnaGrinder),
`features` and `repeatfree`; `kinds` joins them. Writing windows belongs to `corpus/base.py`,
training or validation to `splits.py`.

The soft mask stays in the sequence, whatever the published scripts do with it.
"""

from helixlm.data.windows.base import (
    DROP_REASONS,
    FEATURE_REASONS,
    LOST_WINDOWS,
    Dropped,
    Window,
    WindowError,
)
from helixlm.data.windows.coding import CodingWindows
from helixlm.data.windows.dnabert import DnabertWindows
from helixlm.data.windows.features import (
    Feature,
    FeatureSpan,
    FeatureWindows,
    feature_spans,
    span_of,
)
from helixlm.data.windows.fixed import FixedWindows
from helixlm.data.windows.kinds import DEFAULT_KIND, WindowConfig, cut, refill, unit_bp
from helixlm.data.windows.pieces import PieceWindows
from helixlm.data.windows.repeatfree import RepeatFreeWindows
from helixlm.data.windows.tinydnabert import TinyDnabertWindows, segments

__all__ = [
    "DEFAULT_KIND",
    "DROP_REASONS",
    "FEATURE_REASONS",
    "LOST_WINDOWS",
    "CodingWindows",
    "DnabertWindows",
    "Dropped",
    "Feature",
    "FeatureSpan",
    "FeatureWindows",
    "FixedWindows",
    "PieceWindows",
    "RepeatFreeWindows",
    "TinyDnabertWindows",
    "Window",
    "WindowConfig",
    "WindowError",
    "cut",
    "feature_spans",
    "refill",
    "segments",
    "span_of",
    "unit_bp",
]
