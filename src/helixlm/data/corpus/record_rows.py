"""The rows of a part of a corpus that is made from records.

In: some records (`records.py`) and the split of each. Out: windows, and stretches that are in none,
as from `rows.py`. Windows of the kind `coding` are the records as they are, under the
coordinates of their headers; any other kind cuts each record as if it were a contig. Records that
no split can have, and windows that are left out, count with their letters.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from helixlm.data.corpus.held_out import IN_BOTH, LEFT_OUT
from helixlm.data.corpus.rows import Part, RowMaker, Stretch
from helixlm.data.records import Records
from helixlm.data.splits import SPLITS
from helixlm.data.windows import CodingWindows, Dropped, Window, cut


@dataclass(kw_only=True)
class RecordRows(RowMaker):
    """Makes the rows of records; its stretches are whole records."""

    records: Records
    """Their letters are those of `genome`."""
    splits: bytes
    """Of each record: the number of its split, `IN_BOTH` or `LEFT_OUT`."""

    def stretches(self, first: int, stop: int) -> Iterator[Stretch]:
        """Yield the records of these numbers."""
        for name, length in islice(self.genome.contigs.items(), first, stop):
            yield Stretch(name, 0, length)

    def counted_contig(self, window: Window) -> str:
        """Return what a window is counted under."""
        return self.records.counted_contig(window.contig)

    def _is_left_out(self, stretch: Stretch) -> bool:
        return self.splits[self.records.numbers[stretch.contig]] == LEFT_OUT

    def _with_splits(self, stretch: Stretch) -> Iterator[Part]:
        split = self.splits[self.records.numbers[stretch.contig]]
        if split == IN_BOTH:
            yield "train", Dropped(*stretch, "split_border")
            return
        for part in self._cut(stretch):
            yield "train" if isinstance(part, Dropped) else SPLITS[split], part

    def _cut(self, stretch: Stretch) -> Iterator[Window | Dropped]:
        letters = self.genome.letters(stretch.contig)
        if isinstance(self.windows, CodingWindows):
            yield self._whole(stretch, letters.tobytes().decode("ascii"))
        else:
            report = self._report_as(stretch.contig)
            yield from cut(letters, stretch.contig, self.windows, self.seed, report=report)

    def _whole(self, stretch: Stretch, sequence: str) -> Window:
        name = stretch.contig
        place = self.records.place(name)
        if place is None:
            return Window(*stretch, sequence, name=name)
        return Window(place.contig, place.start, place.end, sequence, place.strand, name=name)

    def _lost(self, window: Window, reason: str) -> Dropped:
        """Return what a window that is left out counts as: its letters."""
        return Dropped(window.contig, window.start, window.start + len(window.sequence), reason)
