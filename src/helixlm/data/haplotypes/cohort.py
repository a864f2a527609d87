"""Haplotypes of many people in many windows, from one pass over a VCF file.

In: a VCF or BCF file, a reference and windows. Out: for each window the haplotypes of each sample,
or of one that is drawn at random. Each record is parsed once, whoever carries it; which alleles
overlap is settled for all haplotypes at once as records come, and only who carries something is
kept, until the last window that it reaches into is done. So memory grows with what is carried in
a window, and with the number of samples, not with the file.

Where an index lies beside the file, stretches without windows are passed over.
"""

import itertools
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from helixlm.data.formats.vcf import VcfError, VcfFile, VcfRecord, check_samples, contig_of
from helixlm.data.haplotypes.alleles import Letters
from helixlm.data.haplotypes.base import (
    Haplotype,
    HaplotypeConfig,
    Overlaps,
    Reference,
    make_haplotype,
)
from helixlm.data.haplotypes.sites import Site, read_site, why_unused
from helixlm.rng import CounterRng
from helixlm.seq.contigs import ContigError, match_contig, missing_contig
from helixlm.seq.interval import Interval, IntervalError

_SEEK_BP = 100_000  # gaps between windows over which reading on costs less than seeking


class Individual(NamedTuple):
    """What one person has in one window."""

    window: Interval
    sample: str
    haplotypes: tuple[Haplotype, ...]
    """As genotypes count them; one where the sample is haploid, else two."""


def cohort_haplotypes(
    path: str | Path,
    reference: Reference,
    windows: Iterable[Interval],
    *,
    samples: Collection[str] | None = None,
    config: HaplotypeConfig | None = None,
) -> Iterator[Individual]:
    """Yield the haplotypes of all samples in all windows.

    Parameters
    ----------
    path : path
        A VCF or BCF file, sorted.
    reference : Reference
        The genome.
    windows : iterable of Interval
        In any order; they may overlap. Names of contigs are matched with those of the reference
        and of the file.
    samples : collection of str, optional
        Who; all samples of the file, if not given.
    config : HaplotypeConfig, optional
        The settings.

    Yields
    ------
    Individual
        Contigs in the order of the file, windows by their start, samples in the order of the file.

    Raises
    ------
    VcfError
        If the file cannot be read, is not sorted, has no genotypes, no such sample or contig, a
        record that the settings refuse, or genotypes of more than two alleles.
    ContigError, IntervalError
        If a window does not lie in the reference.
    """
    with VcfFile(path, samples=samples) as file:
        for window, letters, sites in _windows(file, reference, windows, config):
            carried = _Carried(window, letters, sites)
            for number, sample in enumerate(file.samples):
                yield Individual(window, sample, carried.haplotypes(number))


def random_haplotypes(
    path: str | Path,
    reference: Reference,
    windows: Iterable[Interval],
    *,
    seed: int,
    draws: int = 1,
    samples: Collection[str] | None = None,
    config: HaplotypeConfig | None = None,
) -> Iterator[Individual]:
    """Yield the haplotypes of random individuals for each window, by default of one.

    Parameters
    ----------
    path, reference, windows, samples, config
        As for `cohort_haplotypes`.
    seed : int
        The individual is drawn from ``CounterRng("haplotype", seed, contig, start)`` of the window,
        so that it depends on nothing but the window and the list of samples. The key of a further
        draw ends with its number, 1 and on, and those drawn before are left out.
    draws : int
        How many different individuals to draw for each window.

    Yields
    ------
    Individual
        Contigs in the order of the file, windows by their start, individuals as they are drawn.

    Raises
    ------
    VcfError, ContigError, IntervalError
        As for `cohort_haplotypes`; also if there are fewer samples than draws.

    References
    ----------
    dnaGrinder, arXiv 2409.15697: "one random individual out of 3,202" for each extract, and both
    parental haplotypes.
    """
    with VcfFile(path, samples=samples) as file:
        check_samples(file, draws)
        for window, letters, sites in _windows(file, reference, windows, config):
            for number in _draw(len(file.samples), draws, seed, window):
                haplotypes = _Carried(window, letters, sites, only=number).haplotypes(number)
                yield Individual(window, file.samples[number], haplotypes)


def _draw(num_samples: int, draws: int, seed: int, window: Interval) -> list[int]:
    """Draw so many different samples for a window."""
    left = list(range(num_samples))
    drawn = []
    for draw in range(draws):
        number = (draw,) if draw else ()
        rng = CounterRng("haplotype", seed, window.contig, window.start, *number)
        drawn.append(left.pop(rng.integer(0, len(left))))
    return drawn


class _Carried:
    """Who carries what in a window, sorted by haplotype."""

    def __init__(
        self, window: Interval, letters: Letters, sites: Sequence[Site], only: int | None = None
    ) -> None:
        self.window = window
        self.reference = letters[window.start : window.end]
        self.sites = sites
        self.num_records = sum(window.start <= site.position < window.end for site in sites)
        sizes = [len(site.codes) for site in sites]
        which = np.repeat(np.arange(len(sites), dtype=np.int32), sizes)
        owners = np.concatenate([np.empty(0, np.int32), *(site.haplotypes for site in sites)])
        codes = np.concatenate([np.empty(0, np.int16), *(site.codes for site in sites)])
        kept = np.arange(len(owners)) if only is None else np.flatnonzero(owners // 2 == only)
        order = kept[np.argsort(owners[kept], kind="stable")]
        self.owners, self.which, self.codes = owners[order], which[order], codes[order]

    def haplotypes(self, sample: int) -> tuple[Haplotype, ...]:
        """Return the haplotypes of a sample; only the first where all its genotypes are haploid."""
        first, second = self._haplotype(2 * sample), self._haplotype(2 * sample + 1)
        haploid = second.skipped.get("haploid", 0)
        if haploid and haploid + second.skipped.get("missing", 0) == self.num_records:
            return (first,)
        return first, second

    def _haplotype(self, number: int) -> Haplotype:
        low, high = np.searchsorted(self.owners, [number, number + 1]).tolist()
        which, codes = self.which[low:high].tolist(), self.codes[low:high].tolist()
        start, end = self.window.start, self.window.end
        alleles = []
        applied: Counter[str] = Counter()
        skipped: Counter[str] = Counter()
        for row, code in zip(which, codes, strict=True):
            site = self.sites[row]
            allele, reason = site.outcomes[code]
            if allele is not None:
                alleles.append(allele)
            if start <= site.position < end:
                if reason is not None:
                    skipped[reason] += 1
                elif allele is not None:
                    applied[allele.kind] += 1
        return make_haplotype(self.reference, start, alleles, dict(applied), dict(skipped))


def _windows(
    file: VcfFile,
    reference: Reference,
    windows: Iterable[Interval],
    config: HaplotypeConfig | None,
) -> Iterator[tuple[Interval, Letters, list[Site]]]:
    """Yield each window with the letters of its contig and the records that reach into it."""
    check_samples(file)
    for contig, waiting, records in _stretches(file, _by_contig(windows, reference)):
        letters = reference.letters(contig)
        walk = _walk(file.samples, letters, deque(waiting), records, config or HaplotypeConfig())
        for window, sites in walk:
            yield window, letters, sites


def _by_contig(windows: Iterable[Interval], reference: Reference) -> dict[str, list[Interval]]:
    """Return the windows on each contig of the reference, sorted by their start."""
    groups: dict[str, list[Interval]] = {}
    names: dict[str, str] = {}
    for window in windows:
        if window.contig not in names:
            found = match_contig(window.contig, reference.contigs)
            if found is None:
                raise ContigError(
                    f"window {window}: {missing_contig(window.contig, reference.contigs)}"
                )
            names[window.contig] = found
        length = reference.contigs[names[window.contig]]
        if not 0 <= window.start < window.end <= length:
            raise IntervalError(
                f"window {window}: expected 0 <= start < end <= {length}, the length of the contig"
            )
        groups.setdefault(names[window.contig], []).append(window)
    return {name: sorted(group, key=lambda w: (w.start, w.end)) for name, group in groups.items()}


def _stretches(
    file: VcfFile, wanted: dict[str, list[Interval]]
) -> Iterator[tuple[str, list[Interval], Iterator[VcfRecord]]]:
    """Yield contigs of the reference, windows on them, and the records to read for these."""
    spelled = {contig_of(file, contig): contig for contig in wanted} if file.contigs else {}
    if file.index is not None:
        for name in sorted(spelled, key=file.contigs.index):
            for run in _runs(wanted[spelled[name]]):
                records = file.records_from(name, run[0].start)
                yield spelled[name], run, _on_contig(records, name)
        return
    left = dict(wanted)
    for name, records in itertools.groupby(file.records(), key=lambda record: record.contig):
        contig = spelled.get(name) if spelled else match_contig(name, left)
        if contig in left:
            yield contig, left.pop(contig), records
        if not left:
            return
    for contig, windows in left.items():
        if not spelled:
            raise VcfError(f"{file.path}: has no records on {contig!r}, and declares no contigs")
        yield contig, windows, iter(())


def _runs(windows: list[Interval]) -> Iterator[list[Interval]]:
    """Yield windows in groups with wide gaps between them."""
    run: list[Interval] = []
    end = 0
    for window in windows:
        if run and window.start > end + _SEEK_BP:
            yield run
            run = []
        run.append(window)
        end = max(end, window.end)
    yield run


def _on_contig(records: Iterator[VcfRecord], contig: str) -> Iterator[VcfRecord]:
    return itertools.takewhile(lambda record: record.contig == contig, records)


def _walk(
    samples: Sequence[str],
    letters: Letters,
    waiting: deque[Interval],
    records: Iterator[VcfRecord],
    config: HaplotypeConfig,
) -> Iterator[tuple[Interval, list[Site]]]:
    """Yield the windows of a contig, each as soon as no record can reach into it any more."""
    overlaps = Overlaps(2 * len(samples))
    sites: list[Site] = []
    for record in records:
        if record.position >= len(letters):
            why_unused(record, letters, config)  # which may refuse it
        while waiting and waiting[0].end <= record.position:
            yield from _done(waiting, sites)
        if not waiting:
            return
        site = read_site(record, samples, letters, overlaps, config)
        if site.reach > waiting[0].start:
            sites.append(site)
    while waiting:
        yield from _done(waiting, sites)


def _done(waiting: deque[Interval], sites: list[Site]) -> Iterator[tuple[Interval, list[Site]]]:
    """Yield the first window, then forget it and the records that reach into no other."""
    window = waiting.popleft()
    yield (
        window,
        [site for site in sites if site.position < window.end and site.reach > window.start],
    )
    start = waiting[0].start if waiting else 0
    sites[:] = [site for site in sites if site.reach > start] if waiting else []
