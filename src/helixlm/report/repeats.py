"""What was kept outside repeats, contig by contig, beside what dnaGrinder kept of the human genome.

Comes in: a `RepeatSummary`. Goes out: the rows of a table of the page, and the same as lines of
text.
"""

from typing import NamedTuple

from helixlm.data.repeats import RepeatCounts, RepeatReport, RepeatSummary
from helixlm.report.numerals import count, fixed, percent, setting


class RepeatRow(NamedTuple):
    """A contig, or all of them; what is not defined is None."""

    name: str
    counts: RepeatCounts
    n: float
    """Share of the length."""
    masked: float
    """Share of the length that is in lower case, N aside."""
    min_run_bp: int | None
    kept_masked: float | None
    """Share of the kept bases that is in lower case."""
    paper_fraction: float | None
    """Share that dnaGrinder kept."""

    @property
    def paper(self) -> str:
        """Share that dnaGrinder kept, as printed."""
        return fixed(None) if self.paper_fraction is None else setting(self.paper_fraction)

    @property
    def difference(self) -> str:
        """What is kept beyond the paper's share, in percentage points."""
        if self.paper_fraction is None:
            return fixed(None)
        return fixed(100 * (self.counts.kept_fraction - self.paper_fraction), 1, sign=True)


def repeat_rows(found: RepeatSummary) -> list[RepeatRow]:
    """Return a row for each of the longest contigs, and, if there are several, one for all."""
    rows = [_row(report.contig, report) for report in found.largest]
    if found.num_contigs > 1:
        rows.append(_row(f"all {count(found.num_contigs)}", found.total))
    return rows


def _row(name: str, counts: RepeatCounts) -> RepeatRow:
    report = counts if isinstance(counts, RepeatReport) else None
    return RepeatRow(
        name,
        counts,
        n=counts.n_bp / counts.length_bp,
        masked=counts.masked_bp / counts.length_bp,
        min_run_bp=report.min_run_bp if report else None,
        kept_masked=counts.kept_masked_bp / counts.kept_bp if counts.kept_bp else None,
        paper_fraction=report.paper_fraction if report else None,
    )


def describe_repeats(found: RepeatSummary) -> list[str]:
    """Return the rows as lines of text."""
    return [_in_words(row) for row in repeat_rows(found)]


def _in_words(row: RepeatRow) -> str:
    counts = row.counts
    text = f"{row.name}: {percent(counts.kept_fraction)} of {count(counts.length_bp)} bp kept"
    if row.paper_fraction is not None:
        text += f" (the paper: {row.paper}, difference {row.difference} points)"
    text += f" in {count(counts.num_pieces)} pieces; N {percent(row.n)}, lower case "
    text += f"{percent(row.masked)}, {count(counts.num_long_runs)} of {count(counts.num_runs)} runs"
    if row.min_run_bp is not None:
        text += f" of {count(row.min_run_bp)} bp and more"
    return text
