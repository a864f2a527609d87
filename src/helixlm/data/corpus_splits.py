"""What of a corpus is held out, over all its genomes and records.

In: the genomes, and the records that have none. Out: the split of every base of a genome, and of
every record. How parts are drawn is said in `splits.py`; here is what the parts are:

- By contig: the contigs of genomes, and for records the chromosomes that their headers name. A
  record whose header names none is a part of its own.
- By block: blocks of contigs, and of the chromosomes that records name; a record that lies in
  blocks of both splits is in none. Records of no known chromosome are drawn on their own, as
  contigs are.
- By group: blocks of contigs, and whole records, whatever their length. Records that overlap on a
  chromosome (transcripts of a gene, genes in introns) are in one group, whether their sequences are
  alike or not.

So two records of one place never lie on two sides where places are known. Similar records do, by
contig and by block, if they are of different places or none is known.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from statistics import median_low
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.data.genome import Genome
from helixlm.data.homology import HomologyGrouper
from helixlm.data.records import Records
from helixlm.data.splits import SPLITS, Assignment, SplitConfig, assign

logger = logging.getLogger(__name__)

IN_BOTH = len(SPLITS)
"""in place of the number of a split: a record that lies in both"""


class HeldOut(NamedTuple):
    """What is for training and what for validation."""

    contigs: Assignment
    """Of the contigs of genomes."""
    records: tuple[bytes | None, ...]
    """Of each source: a byte for each record, the number of its split in `SPLITS` or `IN_BOTH`;
    None for a genome."""
    validation_contigs: tuple[str, ...]
    """Contigs and chromosomes that are held out as a whole."""


class _Drawn(NamedTuple):
    """The split of contigs, and of records."""

    contigs: Assignment
    """Of contigs, and of chromosomes that records name; by group of contigs alone."""
    loose: Assignment
    """Of records as wholes: those of no known chromosome, by group all."""


def hold_out(genomes: Mapping[str, Genome | Records], config: SplitConfig, seed: int) -> HeldOut:
    """Decide what is held out.

    Parameters
    ----------
    genomes : mapping of str to Genome or Records
        By what tells the contigs of each from those of others (`sources.prefix_of`).
    config : SplitConfig
        The settings.
    seed : int
        See `splits.assign`.

    Returns
    -------
    HeldOut
        The split of everything.

    Raises
    ------
    SplitError
        If it cannot be split as asked.
    """
    loose = {
        prefix + name: length
        for prefix, records in _records(genomes)
        for name, length in _loose(records)
    }
    if loose and config.by != "group":
        logger.warning(
            "split by %s: %d records name no chromosome and are drawn one by one, so similar ones "
            "may lie on both sides: hold out groups (--set split.by=group) or leave out what is "
            "alike (duplicates.remove=near)",
            config.by,
            len(loose),
        )
    match config.by:
        case "contig":
            drawn = _draw_contigs(genomes, loose, config, seed)
        case "block":
            drawn = _draw_blocks(genomes, loose, config, seed)
        case "group":
            drawn = _draw_groups(genomes, config, seed)
    return HeldOut(
        _of_genomes(drawn.contigs, genomes),
        tuple(
            None
            if isinstance(found, Genome)
            else _splits_of(prefix, found, drawn, whole=config.by == "group")
            for prefix, found in genomes.items()
        ),
        tuple(name for name in drawn.contigs.validation_contigs if name not in loose),
    )


def _of_genomes(drawn: Assignment, genomes: Mapping[str, Genome | Records]) -> Assignment:
    """Return the split of the contigs of genomes alone."""
    names = (prefix + name for prefix, genome in _genomes(genomes) for name in genome.contigs)
    return Assignment(drawn.block_bp, {name: drawn.validation[name] for name in names})


def _genomes(genomes: Mapping[str, Genome | Records]) -> Iterator[tuple[str, Genome]]:
    for prefix, found in genomes.items():
        if isinstance(found, Genome):
            yield prefix, found


def _records(genomes: Mapping[str, Genome | Records]) -> Iterator[tuple[str, Records]]:
    for prefix, found in genomes.items():
        if isinstance(found, Records):
            yield prefix, found


def _loose(records: Records) -> Iterator[tuple[str, int]]:
    """Yield name and length of the records of no known chromosome."""
    lengths = records.genome.contigs.items()
    for contig, (name, length) in zip(records.contigs, lengths, strict=True):
        if not contig:
            yield name, length


def _splits_of(prefix: str, records: Records, drawn: _Drawn, *, whole: bool) -> bytes:
    """Return the split of each record."""
    found = bytearray()
    for name in records.genome.contigs:
        place = None if whole else records.place(name)
        if place is None:
            split = drawn.loose.split_of(prefix + name, 0, 1)
        else:
            split = drawn.contigs.split_of(prefix + place.contig, place.start, place.end)
        found.append(IN_BOTH if split is None else SPLITS.index(split))
    return bytes(found)


def _draw_contigs(
    genomes: Mapping[str, Genome | Records],
    loose: Mapping[str, int],
    config: SplitConfig,
    seed: int,
) -> _Drawn:
    bases = Counter(loose)
    for prefix, genome in _genomes(genomes):
        bases.update({prefix + name: length for name, length in genome.contigs.items()})
    for prefix, records in _records(genomes):
        lengths = records.genome.contigs.values()
        for contig, length in zip(records.contigs, lengths, strict=True):
            if contig:
                bases[prefix + contig] += length
    drawn = assign(bases, config, seed)
    return _Drawn(drawn, drawn)


def _draw_blocks(
    genomes: Mapping[str, Genome | Records],
    loose: Mapping[str, int],
    config: SplitConfig,
    seed: int,
) -> _Drawn:
    bases: dict[str, list[int]] = {}
    for prefix, genome in _genomes(genomes):
        for contig in genome.contigs:
            blocks = _blocks(genome.letters(contig), config.block_bp)
            bases[prefix + contig] = list(map(_num_bases, blocks))
    for prefix, records in _records(genomes):
        bases |= _bases_of_chromosomes(prefix, records, config.block_bp)
    placed = Assignment(config.block_bp, {})
    if bases:
        placed = assign({}, config, seed, bases)
    if bases and len(loose) < 2:
        return _Drawn(placed, Assignment(None, dict.fromkeys(loose, bytes([0]))))
    return _Drawn(placed, assign(loose, config.model_copy(update={"by": "contig"}), seed))


def _bases_of_chromosomes(prefix: str, records: Records, block_bp: int) -> dict[str, list[int]]:
    """Return the letters of the records that begin in each block."""
    num_blocks: dict[str, int] = {}
    for contig, end in zip(records.contigs, records.ends.tolist(), strict=True):
        num_blocks[contig] = max(num_blocks.get(contig, 0), -(-end // block_bp))
    found = {contig: [0] * number for contig, number in num_blocks.items() if contig}
    lengths = records.genome.contigs.values()
    for contig, start, length in zip(
        records.contigs, records.starts.tolist(), lengths, strict=True
    ):
        if contig:
            found[contig][start // block_bp] += length
    return {prefix + contig: blocks for contig, blocks in found.items()}


def _draw_groups(genomes: Mapping[str, Genome | Records], config: SplitConfig, seed: int) -> _Drawn:
    lengths = [length for _, found in _records(genomes) for length in found.genome.contigs.values()]
    usual_bp = min(config.block_bp, median_low(lengths)) if lengths else config.block_bp
    grouper = HomologyGrouper(config.group_share, length_bp=usual_bp)
    bases: dict[str, list[int]] = {}
    for prefix, found in genomes.items():
        if isinstance(found, Records):
            first = grouper.num_sequences
            for one, other in _overlapping(found):
                grouper.link(first + one, first + other)
            for name, length in found.genome.contigs.items():
                bases[prefix + name] = [length]  # also of N alone, which follows its group
                grouper.add(found.genome.letters(name).tobytes().decode("ascii"))
        else:
            for contig in found.contigs:
                bases[prefix + contig] = []
                for block in _blocks(found.letters(contig), config.block_bp):
                    bases[prefix + contig].append(_num_bases(block))
                    grouper.add(block.tobytes().decode("ascii"))
    groups = iter(grouper.groups().tolist())
    by_contig = {name: list(islice(groups, len(blocks))) for name, blocks in bases.items()}
    drawn = assign({}, config, seed, bases, by_contig)
    return _Drawn(_of_genomes(drawn, genomes), drawn)


def _overlapping(records: Records) -> Iterator[tuple[int, int]]:
    """Yield pairs of numbers that connect the records which share bases of a chromosome."""
    order = sorted(
        (contig, start, end, number)
        for number, (contig, start, end) in enumerate(
            zip(records.contigs, records.starts.tolist(), records.ends.tolist(), strict=True)
        )
        if contig
    )
    reach, last = ("", 0), -1
    for contig, start, end, number in order:
        if contig == reach[0] and start < reach[1]:
            yield last, number
            end = max(end, reach[1])
        reach, last = (contig, end), number


def _blocks(letters: NDArray[np.uint8], block_bp: int) -> Iterator[NDArray[np.uint8]]:
    for start in range(0, len(letters), block_bp):
        yield letters[start : start + block_bp]


def _num_bases(block: NDArray[np.uint8]) -> int:
    """Return the number of letters other than N."""
    return len(block) - int(np.count_nonzero((block == ord("N")) | (block == ord("n"))))
