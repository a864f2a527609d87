"""Nucleotide Transformer's pieces, which dnaGrinder has too: cores with a margin on each side.

A contig of L bp gives ``n = (L - 2 * overlap) // chunk`` pieces, and none if n is below 1. The
contig is cut to ``chunk * n + 2 * overlap`` bp, and piece i is its stretch from ``i * chunk`` to
``(i + 1) * chunk + 2 * overlap``: neighbours share twice the overlap. That is the grid of
`fixed.py` with these numbers. In training, `chunk` bases are taken from a start that is drawn anew
among the first ``2 * overlap``, which is not baked into the windows.

The loader upper-cases and turns every letter beyond A, C, G, T into N; here the case stays.
dnaGrinder leaves out pieces with N: ``n="drop"``.

References
----------
`multi_species_genomes.py` in InstaDeepAI/multi_species_genomes on the Hugging Face hub.
dnaGrinder, arXiv 2409.15697, sections 3.1.3 and 3.3.
"""

from typing import Literal

from pydantic import Field

from helixlm.data.windows.base import WindowSettings
from helixlm.data.windows.fixed import FixedWindows


class PieceWindows(WindowSettings):
    """Nucleotide Transformer's pieces."""

    kind: Literal["pieces"] = "pieces"
    """A grid of cores with margins."""
    chunk_bp: int = Field(default=6000, gt=0)
    """Length of a core, bp: 6,000 for inputs of 1,000 6-mers, 12,000 for 2,048."""
    overlap_bp: int = Field(default=100, ge=0)
    """Margin on each side, bp."""
    n: Literal["keep", "drop"] = "keep"
    """Pieces with N are kept, as the loader does; or dropped, with more than max_n_fraction."""
    max_n_fraction: float = Field(default=0, ge=0, le=1)
    """n drop: largest share of N in a piece."""
    iupac: Literal["keep", "n"] = "n"
    """Letters such as R or Y stay, or become N, as the loader does."""

    @property
    def grid(self) -> FixedWindows:
        """The same windows as a grid."""
        return FixedWindows(
            length_bp=self.chunk_bp + 2 * self.overlap_bp,
            step_bp=self.chunk_bp,
            n=self.n,
            max_n_fraction=self.max_n_fraction,
            iupac=self.iupac,
        )
