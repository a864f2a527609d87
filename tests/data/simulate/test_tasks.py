"""Rows of the two tasks: where they come from, what they say, and that no split knows another."""

import csv
from types import SimpleNamespace

import pytest

from helixlm.data.simulate import simulate, small_config

SPLITS = ("train", "dev", "test")


@pytest.fixture(params=["promoter", "splice_donor"])
def task(request, world, readers):
    """Rows of a task by split, each with its place and its label."""
    rows = {}
    for split in SPLITS:
        path = world.task(request.param, split)
        assert path.read_text().splitlines()[0] == "sequence,label"
        with path.open(newline="") as handle:
            table = list(csv.DictReader(handle))
        places = readers.bed(path.with_suffix(".bed"))
        rows[split] = [
            SimpleNamespace(**vars(place), sequence=row["sequence"], label=int(row["label"]))
            for row, place in zip(table, places, strict=True)
        ]
    return SimpleNamespace(name=request.param, rows=rows)


def test_rows_are_where_they_say(task, truth, readers):
    for rows in task.rows.values():
        for row in rows:
            text = truth.upper[row.contig][row.start : row.end]
            assert row.sequence == (text if row.strand == "+" else readers.turn(text))
            assert set(row.sequence) <= set("ACGT")
            assert row.label == row.score


def test_labels_are_balanced_and_lengths_equal(task, world):
    length = {"promoter": 300, "splice_donor": 120}[task.name]
    for split, rows in task.rows.items():
        assert len(rows) == world.manifest.counts[f"{task.name}_{split}"] > 10
        assert 2 * sum(row.label for row in rows) == len(rows)
        assert {len(row.sequence) for row in rows} == {length}
        labels = [row.label for row in rows]
        assert labels != sorted(labels)  # in random order
        assert labels != sorted(labels, reverse=True)


def test_splits_are_contigs_and_share_no_sequence(task, world, readers):
    seen = set()
    for split, rows in task.rows.items():
        assert {row.contig for row in rows} <= set(world.contigs_of_split(split))
        for row in rows:
            assert row.sequence not in seen
            seen |= {row.sequence, readers.turn(row.sequence)}


def test_promoters_are_at_starts_of_transcription_and_others_are_not(world, truth, readers):
    starts = {(row.contig, row.start, row.strand) for row in truth.bed["tss"]}
    used = set()
    for split in SPLITS:
        for row in readers.bed(world.task("promoter", split).with_suffix(".bed")):
            first = row.start + 200 if row.strand == "+" else row.end - 201
            if row.score:
                assert row.name == "promoter"
                assert (row.contig, first, row.strand) in starts
                used.add((row.contig, first, row.strand))
                continue
            for other in truth.bed["promoters"]:
                assert (
                    other.contig != row.contig or other.end <= row.start or row.end <= other.start
                )
            if row.name == "gene":
                genes = [g for g in truth.genes.values() if g.contig == row.contig]
                assert any(
                    g.parts["gene"][0][0] <= row.start and row.end <= g.parts["gene"][0][1]
                    for g in genes
                )
            if row.name == "enhancer":
                middle = (row.start + row.end) // 2
                assert any(
                    e.contig == row.contig and e.start <= middle < e.end
                    for e in truth.bed["enhancers"]
                )
    assert len(used) > 0.8 * len(starts)


def test_donors_are_at_exon_ends_and_others_have_gt_too(world, truth, readers):
    donors = set()
    for gene in truth.genes.values():
        exons = sorted(gene.parts["exon"])
        plus = gene.strand == "+"
        ends = [end for _, end in exons[:-1]] if plus else [start for start, _ in exons[1:]]
        donors |= {(gene.contig, end, gene.strand) for end in ends}
    sources = set()
    for split in SPLITS:
        path = world.task("splice_donor", split)
        with path.open(newline="") as handle:
            sequences = [row["sequence"] for row in csv.DictReader(handle)]
        assert {sequence[59:61] for sequence in sequences} == {"GT"}
        for row in readers.bed(path.with_suffix(".bed")):
            cut = row.start + 59 if row.strand == "+" else row.end - 59
            assert ((row.contig, cut, row.strand) in donors) == bool(row.score)
            sources.add(row.name)
    assert sources == {"donor", "gene", "similar", "anywhere"}


def test_no_sequence_comes_twice_where_many_would(tmp_path, readers):
    """Short windows in long microsatellites: the same GT context stands in many places."""
    changes = {"donor_window_bp": 20, "tandem_share": 0.2, "repeat_share": 0.0}
    world = simulate(tmp_path / "world", small_config(seed=1).model_copy(update=changes))
    seen = set()
    for split in SPLITS:
        for line in world.task("splice_donor", split).read_text().splitlines()[1:]:
            sequence = line.split(",")[0]
            assert sequence not in seen
            seen |= {sequence, readers.turn(sequence)}
