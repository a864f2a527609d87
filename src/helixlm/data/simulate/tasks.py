"""Two classification tasks on the focal species: promoter or not, splice donor or not.

Comes in: the genome and its features. Goes out: windows with a label, split by contig into train,
dev and test; as many negatives as positives in each split, none with an N, no sequence twice
(nor its reverse complement). Sequences are written in capitals: the case would tell repeats, and
so most negatives, at a glance.

Negatives are real places. Promoter: a fifth lie over an enhancer (factor sites, but no start of
transcription), two fifths in a gene, the rest anywhere; none meets a promoter. Donor: another GT
in the middle; a third on the gene's own strand in a gene, a third with a context that scores
like a donor's, the rest anywhere on either strand.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.data.simulate import matrices as pwm
from helixlm.data.simulate.ancestor import Genome
from helixlm.data.simulate.config import WorldConfig
from helixlm.data.simulate.features import cover
from helixlm.data.simulate.formats import Frame, write_text
from helixlm.data.simulate.layout import N, reverse_complement_codes
from helixlm.rng import CounterRng
from helixlm.seq.alphabet import DNA

SPLITS = ("train", "dev", "test")


class Window(NamedTuple):
    """A stretch of the focal genome that may become a row of a task.

    Attributes
    ----------
    start : int
        Genome-wide, 0-based; the length is the task's.
    strand : int
        1, or -1 where the sequence is the reverse complement.
    label : int
        1 or 0.
    source : str
        Where it comes from, such as "promoter" or "gene".
    """

    start: int
    strand: int
    label: int
    source: str


class _Ground(NamedTuple):
    """The genome, with what the windows are checked against."""

    genome: Genome
    frame: Frame
    config: WorldConfig
    unknown: NDArray[np.int64]  # (length + 1,) running count of N

    def whole(self, start: NDArray[np.int64], length: int) -> NDArray[np.bool_]:
        """Return which windows lie in the genome and hold no N.

        Contigs end in N, so a window without N does not cross from one to the next.
        """
        inside = (start >= 0) & (start + length < len(self.unknown))
        start = np.where(inside, start, 0)
        return inside & (self.unknown[start + length] == self.unknown[start])

    def split(self, start: NDArray[np.int64]) -> NDArray[np.str_]:
        """Return the split of the contig of each window."""
        names = np.array([self.config.split_of_contig[name] for name in self.frame.names])
        return names[np.searchsorted(self.frame.bounds, start, side="right") - 1]


def write_tasks(folder: Path, genome: Genome, frame: Frame, config: WorldConfig) -> dict[str, int]:
    """Write the CSV files of both tasks, and BED files that say where their rows are.

    ``<task>/<split>.csv`` has the columns sequence and label; line i of ``<task>/<split>.bed``
    (BED6; name: source, score: label) is the place of row i.

    Returns
    -------
    dict of str to int
        Rows of each file, by ``<task>_<split>``.
    """
    unknown = np.concatenate(([0], np.cumsum(genome.codes == N)))
    ground = _Ground(genome, frame, config, unknown)
    tasks = {
        "promoter": (config.promoter_window_bp, _promoters(ground)),
        "splice_donor": (config.donor_window_bp, _donors(ground)),
    }
    counts = {}
    for task, (length, (positives, negatives)) in tasks.items():
        rows = _choose(positives, negatives, length, ground, task)
        for split in SPLITS:
            _write(folder / task / split, rows[split], length, ground)
            counts[f"{task}_{split}"] = len(rows[split])
    return counts


def _windows(
    start: NDArray[np.int64], strand: NDArray[np.int8], label: int, source: str, order: CounterRng
) -> list[Window]:
    """Return windows in random order."""
    shuffled = order.permutation(len(start))
    return [
        Window(left, sign, label, source)
        for left, sign in zip(start[shuffled].tolist(), strand[shuffled].tolist(), strict=True)
    ]


def _promoters(ground: _Ground) -> tuple[list[Window], list[list[Window]]]:
    """Return windows at starts of transcription, and groups of other windows."""
    config, genome, length = ground.config, ground.genome, ground.config.promoter_window_bp
    total = len(genome.codes)
    upstream = 2 * length // 3
    rng = CounterRng("simulate", config.seed, "promoter task")
    genes = genome.features.of("gene")
    start = np.where(genes.strand > 0, genes.start - upstream, genes.end - length + upstream)
    whole = ground.whole(start, length)
    positives = _windows(start[whole], genes.strand[whole], 1, "promoter", rng)

    near = np.concatenate(([0], np.cumsum(genome.features.of("promoter").mask(total))))
    candidate = rng.integers(0, total - length, 40 * len(genes.start))
    clear = ground.whole(candidate, length) & (near[candidate + length] == near[candidate])
    candidate = candidate[clear]
    sign = (1 - 2 * rng.integers(0, 2, len(candidate))).astype(np.int8)
    in_gene = np.zeros(len(candidate), dtype=np.bool_)
    running = np.concatenate(([0], np.cumsum(genes.mask(total))))
    in_gene = running[candidate + length] - running[candidate] == length
    middle = candidate + length // 2
    enhancers = genome.features.of("enhancer")
    at_enhancer = cover(enhancers.start, enhancers.end, total)[middle]
    groups = [
        _windows(candidate[mask], sign[mask], 0, source, rng)
        for mask, source in (
            (at_enhancer, "enhancer"),
            (in_gene, "gene"),
            (np.ones(len(candidate), dtype=np.bool_), "anywhere"),
        )
    ]
    # Two fifths each from genes and anywhere.
    return positives, [groups[0], groups[1], groups[2], groups[1], groups[2]]


def _donors(ground: _Ground) -> tuple[list[Window], list[list[Window]]]:
    """Return windows with a donor's GT in the middle, and groups with another GT."""
    config, genome, length = ground.config, ground.genome, ground.config.donor_window_bp
    codes, total = genome.codes, len(genome.codes)
    rng = CounterRng("simulate", config.seed, "donor task")
    # Every GT of either strand, as the first base of the pair on the forward strand.
    forward = np.flatnonzero((codes[:-1] == 2) & (codes[1:] == 3))
    reverse = np.flatnonzero((codes[:-1] == 0) & (codes[1:] == 1))
    place = np.concatenate([forward, reverse])
    strand = np.repeat(np.array([1, -1], dtype=np.int8), [len(forward), len(reverse)])
    start = place - (length // 2 - 1)
    whole = ground.whole(start, length)
    place, strand, start = place[whole], strand[whole], start[whole]

    sites = genome.features.sites(pwm.DONOR.name)
    before = pwm.DONOR_EXON_BP
    after = pwm.DONOR.width - before - 2
    pair = np.where(sites.strand > 0, sites.start + before, sites.start + after)
    is_donor = np.isin(place * strand, pair * sites.strand)
    sense = np.zeros(total, dtype=np.int8)
    for gene_start, gene_end, sign in zip(
        *(
            getattr(genome.features.of("gene"), name).tolist()
            for name in ("start", "end", "strand")
        ),
        strict=True,
    ):
        sense[gene_start:gene_end] = sign
    around = place[:, None] + np.arange(-before, 2 + after)
    around[strand < 0] = place[strand < 0, None] + np.arange(1 + before, -after - 1, -1)
    letters = codes[around].astype(np.int64)
    letters[strand < 0] = 3 - letters[strand < 0]
    score = pwm.DONOR.score(letters.astype(np.uint8))
    # Better than the weakest quarter of the true donors.
    weak = np.sort(score[is_donor])[: len(sites.start) // 4]
    similar = score > weak.max(initial=0)
    groups = []
    for mask, source in (
        (sense[place] == strand, "gene"),
        (similar, "similar"),
        (np.ones(len(place), dtype=np.bool_), "anywhere"),
    ):
        other = mask & ~is_donor
        groups.append(_windows(start[other], strand[other], 0, source, rng))
    return _windows(start[is_donor], strand[is_donor], 1, "donor", rng), groups


def _choose(
    positives: list[Window],
    negatives: list[list[Window]],
    length: int,
    ground: _Ground,
    task: str,
) -> dict[str, list[Window]]:
    """Return the rows of each split in random order, with as many negatives as positives.

    The groups of negatives take turns; one that has run out is passed over. Negatives do not
    overlap each other by more than half of their length.
    """
    rng = CounterRng("simulate", ground.config.seed, task, "rows")
    seen: set[str] = set()
    rows = {}
    for split in SPLITS:
        chosen = [
            w for w in _of_split(positives, split, ground) if _is_new(w, length, ground, seen)
        ]
        wanted = len(chosen)
        queues = [iter(_of_split(group, split, ground)) for group in negatives]
        crowded = np.zeros(len(ground.genome.codes), dtype=np.bool_)
        found, turn = 0, 0
        while found < wanted and queues:
            queue = queues[turn % len(queues)]
            window = next(
                (
                    w
                    for w in queue
                    if not crowded[w.start + length // 2] and _is_new(w, length, ground, seen)
                ),
                None,
            )
            if window is None:
                queues.remove(queue)
                continue
            crowded[window.start : window.start + length] = True
            chosen.append(window)
            found, turn = found + 1, turn + 1
        # A tiny contig may not have enough other places.
        chosen = chosen[wanted - found :]
        rows[split] = [chosen[i] for i in rng.permutation(len(chosen)).tolist()]
    return rows


def _of_split(windows: list[Window], split: str, ground: _Ground) -> list[Window]:
    if not windows:
        return []
    of = ground.split(np.array([window.start for window in windows]))
    return [w for w, here in zip(windows, (of == split).tolist(), strict=True) if here]


def _is_new(window: Window, length: int, ground: _Ground, seen: set[str]) -> bool:
    """Return whether no such sequence was seen on either strand, and remember it."""
    codes = ground.genome.codes[window.start : window.start + length]
    texts = DNA.decode(codes), DNA.decode(reverse_complement_codes(codes))
    if texts[0] in seen:
        return False
    seen.update(texts)
    return True


def _write(stem: Path, rows: list[Window], length: int, ground: _Ground) -> None:
    table, places = ["sequence,label"], []
    for window in rows:
        codes = ground.genome.codes[window.start : window.start + length]
        if window.strand < 0:
            codes = reverse_complement_codes(codes)
        table.append(f"{DNA.decode(codes)},{window.label}")
        contig, start = ground.frame.locate(window.start)
        sign = "+" if window.strand > 0 else "-"
        places.append(
            f"{contig}\t{start}\t{start + length}\t{window.source}\t{window.label}\t{sign}"
        )
    write_text(stem.with_suffix(".csv"), table)
    write_text(stem.with_suffix(".bed"), places)
