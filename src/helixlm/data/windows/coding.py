"""Coding sequences as windows: the settings; they are spliced in `helixlm.data.coding`."""

from typing import Literal

from helixlm.data.windows.base import CHUNK_BP, WindowSettings


class CodingWindows(WindowSettings):
    """Each coding sequence of an annotation, spliced, or each record of a CDS FASTA file."""

    kind: Literal["coding"] = "coding"
    """Coding sequences."""

    @property
    def unit_bp(self) -> int:
        """Multiples at which a contig may be parted, bp."""
        return CHUNK_BP
