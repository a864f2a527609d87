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

Contigs and chromosomes that the settings leave out take no part in any of this.

So two records of one place never lie on two sides where places are known. Similar records do, by
contig and by block, if they are of different places or none is known.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import compress, islice
from statistics import median_low
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.data.genome import Genome
from helixlm.data.records import Records
from helixlm.data.similarity.homology import HomologyGrouper
from helixlm.data.splits import SPLITS, Assignment, SplitConfig, SplitError, assign

logger = logging.getLogger(__name__)

IN_BOTH = len(SPLITS)
"""in place of the number of a split: a record that lies in both"""
LEFT_OUT = IN_BOTH + 1
"""a record of a chromosome that is left out"""


class HeldOut(NamedTuple):
    """What is for training and what for validation."""

    contigs: Assignment
    """Of the contigs of genomes."""
    records: tuple[bytes | None, ...]
    """Of each source: a byte for each record, the number of its split in `SPLITS`, `IN_BOTH` or
    `LEFT_OUT`; None for a genome."""
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
    _check_left_out(genomes, config)
    loose = {
        prefix + name: length
        for prefix, records in _records(genomes)
        for name, length in _loose(records)
        if not config.leaves_out(prefix + name)
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
        _of_genomes(drawn.contigs, genomes, config),
        tuple(
            None if isinstance(found, Genome) else _splits_of(prefix, found, drawn, config)
            for prefix, found in genomes.items()
        ),
        tuple(name for name in drawn.contigs.validation_contigs if name not in loose),
    )


def _check_left_out(genomes: Mapping[str, Genome | Records], config: SplitConfig) -> None:
    names = [prefix + name for prefix, found in genomes.items() for name in _names(found)]
    if config.left_out and all(map(config.leaves_out, names)):
        raise SplitError(
            f"split.left_out: {', '.join(config.left_out)} matches all contigs ({names[0]}, ...), "
            "expected some to be left: name fewer, or none (--set split.left_out=[])"
        )
    clash = [name for name in config.validation_contigs if config.leaves_out(name)]
    if clash:
        raise SplitError(
            f"validation_contigs: {', '.join(clash)} matches split.left_out "
            f"({', '.join(config.left_out)}), expected contigs that are not left out: change one"
        )


def _names(found: Genome | Records) -> list[str]:
    """Return the names by which contigs, or records, are left out: chromosomes if known."""
    if isinstance(found, Genome):
        return list(found.contigs)
    names = zip(found.contigs, found.genome.contigs, strict=True)
    return [contig or name for contig, name in names]


def _of_genomes(
    drawn: Assignment, genomes: Mapping[str, Genome | Records], config: SplitConfig
) -> Assignment:
    """Return the split of the contigs of genomes alone."""
    names = [
        prefix + name
        for prefix, genome in _genomes(genomes)
        for name in genome.contigs
        if not config.leaves_out(prefix + name)
    ]
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


def _splits_of(prefix: str, records: Records, drawn: _Drawn, config: SplitConfig) -> bytes:
    """Return the split of each record."""
    found = bytearray()
    for name, known in zip(records.genome.contigs, _names(records), strict=True):
        if config.leaves_out(prefix + known):
            found.append(LEFT_OUT)
            continue
        place = None if config.by == "group" else records.place(name)
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
    kept = {name: number for name, number in bases.items() if not config.leaves_out(name)}
    drawn = assign(kept, config, seed)
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
            if not config.leaves_out(prefix + contig):
                blocks = _blocks(genome.letters(contig), config.block_bp)
                bases[prefix + contig] = list(map(_num_bases, blocks))
    for prefix, records in _records(genomes):
        found = _bases_of_chromosomes(prefix, records, config.block_bp)
        bases |= {name: here for name, here in found.items() if not config.leaves_out(name)}
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
            kept = [not config.leaves_out(prefix + known) for known in _names(found)]
            numbers = grouper.num_sequences + np.cumsum(kept) - 1
            for one, other in _overlapping(found):
                if kept[one]:  # and so is the other, of the same chromosome
                    grouper.link(int(numbers[one]), int(numbers[other]))
            for name, length in compress(found.genome.contigs.items(), kept):
                bases[prefix + name] = [length]  # also of N alone, which follows its group
                grouper.add(found.genome.letters(name).tobytes().decode("ascii"))
        else:
            for contig in found.contigs:
                if config.leaves_out(prefix + contig):
                    continue
                bases[prefix + contig] = []
                for block in _blocks(found.letters(contig), config.block_bp):
                    bases[prefix + contig].append(_num_bases(block))
                    grouper.add(block.tobytes().decode("ascii"))
    groups = iter(grouper.groups().tolist())
    by_contig = {name: list(islice(groups, len(blocks))) for name, blocks in bases.items()}
    drawn = assign({}, config, seed, bases, by_contig)
    return _Drawn(_of_genomes(drawn, genomes, config), drawn)


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
