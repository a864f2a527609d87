"""Coordinates of haplotypes: against a list of single bases, and borders of windows."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helixlm.data.formats.vcf import VcfRecord
from helixlm.data.haplotypes.alleles import read_allele
from helixlm.data.haplotypes.base import apply_alleles
from helixlm.data.haplotypes.mapping import Block, HaplotypeMap
from helixlm.seq.ops import reverse_complement


@st.composite
def edits(draw):
    """A contig, alleles that do not touch, and each letter of the haplotype with its origin.

    What a duplication adds has the origin ``-2 - place``.
    """
    reference = draw(st.text("ACGT", min_size=8, max_size=50))
    records, bases, done = [], [], 0
    for _ in range(draw(st.integers(0, 6))):
        if done + 5 > len(reference):
            break
        anchor = draw(st.integers(done, len(reference) - 5))
        end = draw(st.integers(anchor + 2, len(reference) - 1))
        bases += [(reference[i], i) for i in range(done, anchor + 1)]
        letter, kind = reference[anchor], draw(st.sampled_from(["snv", "ins", "del", "dup", "inv"]))
        if kind == "snv":
            alt = draw(st.sampled_from([x for x in "ACGT" if x != letter]))
            bases[-1] = (alt, anchor)
            end = anchor + 1
        elif kind == "ins":
            text = draw(st.text("ACGT", min_size=1, max_size=4))
            alt = letter + text
            bases += [(x, -1) for x in text]
            end = anchor + 1
        elif kind == "del":
            alt = "<DEL>"
        elif kind == "dup":
            alt = "<DUP>"
            bases += [(reference[i], -2 - i) for i in range(anchor + 1, end)]
            bases += [(reference[i], i) for i in range(anchor + 1, end)]
        else:
            alt = "<INV>"
            text = reverse_complement(reference[anchor + 1 : end])
            bases += list(zip(text, range(end - 1, anchor, -1), strict=True))
        records.append(VcfRecord("", "c", anchor, None, letter, (alt,), {"END": end}))
        done = end
    bases += [(reference[i], i) for i in range(done, len(reference))]
    return reference, records, bases


def build(reference, records):
    letters = np.frombuffer(reference.encode(), dtype=np.uint8)
    return apply_alleles(letters, 0, [read_allele(r, 1, letters) for r in records])


@given(edits())
def test_each_base_maps_to_where_it_came_from(edited):
    reference, records, bases = edited
    haplotype = build(reference, records)
    assert haplotype.sequence == "".join(letter for letter, _ in bases)
    origins = [max(origin, -1) for _, origin in bases]
    assert haplotype.map.to_reference(np.arange(len(bases))).tolist() == origins
    places = {origin: i for i, origin in enumerate(origins)}
    expected = [places.get(i, -1) for i in range(len(reference))]
    assert haplotype.map.to_haplotype(np.arange(len(reference))).tolist() == expected


@given(edits(), st.data())
def test_windows_map_as_the_whole_does(edited, data):
    reference, records, bases = edited
    start = data.draw(st.integers(0, len(reference) - 1))
    end = data.draw(st.integers(start + 1, len(reference)))
    whole = build(reference, records)
    letters = np.frombuffer(reference.encode(), dtype=np.uint8)
    alleles = [read_allele(r, 1, letters) for r in records]
    part = apply_alleles(letters[start:end], start, alleles)
    low, high = whole.map.span(start, end)
    assert part.sequence == "".join(letter for letter, _ in bases[low:high])
    assert (part.map.start, part.map.end, part.map.num_bases) == (start, end, high - low)
    origins = [max(origin, -1) for _, origin in bases[low:high]]
    assert part.map.to_reference(np.arange(high - low)).tolist() == origins
    places = {origin: i for i, origin in enumerate(origins)}
    expected = [places.get(i, -1) for i in range(start, end)]
    assert part.map.to_haplotype(np.arange(start, end)).tolist() == expected
    turned = {
        place
        for record in records
        if record.alts == ("<INV>",)
        for place in range(record.position + 1, record.info["END"])
    }
    brought = {origin for origin in origins if origin in turned}
    brought |= {-2 - origin for _, origin in bases[low:high] if origin < -1}
    assert {place for span in part.brought for place in range(*span)} == brought


@given(edits(), st.data())
def test_spans_of_tiles_tile_the_haplotype(edited, data):
    reference, records, bases = edited
    edges = sorted(data.draw(st.sets(st.integers(1, len(reference) - 1), max_size=5)))
    edges = [0, *edges, len(reference)]
    whole = build(reference, records)
    spans = [whole.map.span(a, b) for a, b in itertools.pairwise(edges)]
    assert spans[0][0] == 0
    assert spans[-1][1] == len(bases)
    assert all(one[1] == two[0] for one, two in itertools.pairwise(spans))


def test_blocks_of_a_haplotype_worked_by_hand():
    """ACGT TGCA: GT deleted after C, AA inserted after the second T."""
    records = [
        VcfRecord("", "c", 1, None, "CGT", ("C",), {}),
        VcfRecord("", "c", 4, None, "T", ("TAA",), {}),
    ]
    haplotype = build("ACGTTGCA", records)
    assert haplotype.sequence == "ACTAAGCA"
    assert haplotype.map.blocks == [
        Block(0, 2, 0, 2),
        Block(2, 0, 2, 2),
        Block(2, 1, 4, 1),
        Block(3, 2, 5, 0),
        Block(5, 3, 5, 3),
    ]
    assert haplotype.map.span(0, 2) == (0, 2)
    assert haplotype.map.span(2, 4) == (2, 2)
    assert haplotype.map.span(4, 5) == (2, 5)
    assert haplotype.map.span(5, 8) == (5, 8)


def test_a_window_that_is_deleted_is_empty():
    letters = np.frombuffer(b"ACGTACGT", dtype=np.uint8)
    allele = read_allele(VcfRecord("", "c", 0, None, "A", ("<DEL>",), {"END": 8}), 1, letters)
    haplotype = apply_alleles(letters[2:5], 2, [allele])
    assert haplotype.sequence == ""
    assert haplotype.map.num_bases == 0
    assert haplotype.map.to_haplotype([2, 3, 4]).tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda m: m.to_reference([0, 5]), "position 5: expected 0 to 4"),
        (lambda m: m.to_reference(-1), "position -1"),
        (lambda m: m.to_haplotype(9), "position 9: expected 10 to 14"),
        (lambda m: m.span(10, 16), "position 16: expected 10 to 15"),
    ],
)
def test_positions_outside_are_errors(ask, message):
    with pytest.raises(ValueError, match=message):
        ask(HaplotypeMap([Block(0, 5, 10, 5)]))
