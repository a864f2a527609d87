"""Haplotypes of cohorts: against bcftools consensus, slices of the whole contig, and by hand."""

import itertools
from collections import Counter

import numpy as np
import pysam.bcftools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.data.vcf_files import Genome, cohorts, consensus, vcf_text, write_vcf

from helixlm.data.formats.vcf import VcfError
from helixlm.data.haplotypes.base import HaplotypeConfig
from helixlm.data.haplotypes.cohort import cohort_haplotypes, random_haplotypes
from helixlm.rng import CounterRng
from helixlm.seq.contigs import ContigError
from helixlm.seq.interval import Interval, IntervalError

ALL = ("<DEL>", "<DUP>", "<INV>", "<CN0>", "<CN1>", "<CN2>", "<CN3>")


@pytest.fixture
def read(tmp_path):
    """Write a VCF file of one contig and return the haplotypes of everyone in all of it."""

    def read(reference, rows, samples=("s",), window=None, filter_column=(), **settings):
        text = vcf_text({"c": len(reference)}, list(samples), rows, filter_column)
        path = write_vcf(tmp_path / "a.vcf", text, "plain")
        windows = [Interval("c", *(window or (0, len(reference))))]
        genome = Genome({"c": reference})
        people = cohort_haplotypes(path, genome, windows, config=HaplotypeConfig(**settings))
        return [person.haplotypes for person in people]

    return read


def sequences(haplotypes):
    return [haplotype.sequence for haplotype in haplotypes]


@settings(deadline=None, max_examples=150)
@given(cohorts())
def test_haplotypes_are_those_of_bcftools(tmp_path_factory, cohort):
    reference, rows = cohort
    folder = tmp_path_factory.mktemp("consensus")
    text = vcf_text({"c": len(reference)}, ["s", "t"], rows)
    path = write_vcf(folder / "a.vcf.gz", text)
    windows = [Interval("c", 0, len(reference))]
    for person in cohort_haplotypes(path, Genome({"c": reference}), windows):
        for number, haplotype in enumerate(person.haplotypes, start=1):
            expected = consensus(folder, {"c": reference}, path, person.sample, number)["c"]
            assert haplotype.sequence == expected


@settings(deadline=None, max_examples=40)
@given(cohorts(), st.lists(st.sampled_from(["PASS", ".", "low", "low;deep"]), max_size=14))
def test_records_that_pass_are_those_of_bcftools_view(tmp_path_factory, cohort, column):
    reference, rows = cohort
    folder = tmp_path_factory.mktemp("filters")
    text = vcf_text({"c": len(reference)}, ["s", "t"], rows, column)
    path, left = write_vcf(folder / "a.vcf.gz", text), folder / "left.vcf.gz"
    pysam.bcftools.view("-f", "PASS,.", "-Oz", "-o", str(left), str(path), catch_stdout=False)
    pysam.bcftools.index(str(left))
    windows, genome = [Interval("c", 0, len(reference))], Genome({"c": reference})
    for file, filters in ((path, "all"), (left, "pass")):
        config = HaplotypeConfig(filters=filters)
        for person in cohort_haplotypes(path, genome, windows, config=config):
            for number, haplotype in enumerate(person.haplotypes, start=1):
                expected = consensus(folder, {"c": reference}, file, person.sample, number)["c"]
                assert haplotype.sequence == expected


# bcftools 1.24 compares letters with their case where two alleles meet at one base, so only
# cohorts without such neighbours are comparable in lower case.
@settings(deadline=None, max_examples=60)
@given(cohorts(symbols=()))
def test_case_is_that_of_bcftools(tmp_path_factory, cohort):
    reference, rows = cohort
    masked = "".join(x.lower() if i // 7 % 2 else x for i, x in enumerate(reference))
    apart, end = [], -1
    for row in rows:
        start, stop = row[1], row[1] + len(row[2])
        # An allele that shares letters with REF beyond its anchor has two spellings.
        if start > end and masked[start - 1 : stop - 1] in (row[2], row[2].lower()):
            apart.append(row)
            end = stop
    folder = tmp_path_factory.mktemp("case")
    path = write_vcf(folder / "a.vcf.gz", vcf_text({"c": len(masked)}, ["s", "t"], apart))
    windows = [Interval("c", 0, len(masked))]
    for person in cohort_haplotypes(path, Genome({"c": masked}), windows):
        for number, haplotype in enumerate(person.haplotypes, start=1):
            expected = consensus(folder, {"c": masked}, path, person.sample, number)["c"]
            assert haplotype.sequence == expected


@settings(deadline=None, max_examples=100)
@given(cohorts(symbols=ALL))
def test_windows_are_slices_of_the_whole_contig(tmp_path_factory, cohort):
    reference, rows = cohort
    folder = tmp_path_factory.mktemp("windows")
    text = vcf_text({"c": len(reference)}, ["s", "t"], rows)
    genome = Genome({"c": reference})
    length = len(reference)
    edges = [0, length // 5, length // 5 + 1, length // 2, length]
    tiles = [Interval("c", a, b) for a, b in itertools.pairwise(edges)]
    every = [Interval("c", 0, length), Interval("c", 3, length - 3), *tiles]
    plain = write_vcf(folder / "a.vcf", text, "plain")
    people = list(cohort_haplotypes(plain, genome, every))
    wholes = {p.sample: p.haplotypes for p in people if p.window == every[0]}
    assert len(people) == 2 * len(every)
    for person in people:
        for whole, part in zip(wholes[person.sample], person.haplotypes, strict=True):
            start, end = whole.map.span(person.window.start, person.window.end)
            assert part.sequence == whole.sequence[start:end]
            places = np.arange(start, end)
            expected = whole.map.to_reference(places)
            assert (part.map.to_reference(places - start) == expected).all()
    for sample, haplotypes in wholes.items():
        for number, whole in enumerate(haplotypes):
            parts = [
                p.haplotypes[number] for p in people if p.sample == sample and p.window in tiles
            ]
            assert "".join(sequences(parts)) == whole.sequence
            assert sum((Counter(part.applied) for part in parts), Counter()) == whole.applied
            assert sum((Counter(part.skipped) for part in parts), Counter()) == whole.skipped


@settings(deadline=None, max_examples=40)
@given(cohorts(symbols=("<DEL>", "<CN2>")))
def test_an_index_changes_nothing(tmp_path_factory, cohort):
    reference, rows = cohort
    folder = tmp_path_factory.mktemp("index")
    text = vcf_text({"b": 9, "c": len(reference)}, ["s", "t"], rows)
    genome = Genome({"c": reference, "b": "ACGTACGTA"})
    windows = [Interval("c", 9, 14), Interval("c", 12, 19), Interval("b", 1, 9)]
    files = [("a.vcf", "plain"), ("b.vcf.gz", "gzip"), ("c.vcf.gz", "bgzip"), ("d.bcf", "bcf")]
    found = []
    for name, kind in files:
        path = write_vcf(folder / name, text, kind)
        found.append(
            {
                (p.window, p.sample): [(h.sequence, h.applied, h.skipped) for h in p.haplotypes]
                for p in cohort_haplotypes(path, genome, windows)
            }
        )
    assert len(found[0]) == 6
    assert found[1:] == found[:1] * 3


def test_soft_mask_survives_where_bcftools_loses_a_base(read):
    """POS 4 is a SNV, then an insertion behind it: the SNV stays in lower case too."""
    rows = [("c", 4, "T", "G", ".", "1|1"), ("c", 4, "T", "TAA", ".", "1|0")]
    assert sequences(read("acgtacgt", rows)[0]) == ["acggaaacgt", "acggacgt"]


def test_letters_take_the_case_of_the_base_at_pos(read):
    rows = [("c", 2, "C", "CTT", ".", "1|0"), ("c", 5, "A", "G", ".", "0|1")]
    assert sequences(read("ACgtaC", rows)[0]) == ["ACTTgtaC", "ACgtgC"]


def test_counts_are_by_kind_and_by_reason(read):
    rows = [
        ("c", 1, "A", "T", ".", "1|0"),
        ("c", 3, "GTA", "G", ".", "1|0"),
        ("c", 4, "T", "C", ".", "1|0"),
        ("c", 6, "C", "*", ".", "1|1"),
        ("c", 7, "GT", "CA", ".", "1|."),
        ("c", 9, "A", "<INS:ME:ALU>", ".", "1|0"),
        ("c", 10, "C", "CAA,CG", ".", "2|1"),
        ("c", 11, "GT", "ACC", ".", "0|1"),
    ]
    first, second = read("ACGTACGTACGT", rows)[0]
    assert first.sequence == "TCG" + "C" + "CA" + "A" + "CG" + "GT"
    assert first.applied == {"SNV": 1, "DEL": 1, "MNV": 1, "INS": 1}
    assert first.skipped == {"overlap": 1, "spanning_deletion": 1, "no_sequence": 1}
    assert second.sequence == "ACGTACGTACAA" + "ACC"
    assert second.applied == {"INS": 1, "DELINS": 1}
    assert second.skipped == {"spanning_deletion": 1, "missing": 1}


def test_what_is_carried_of_filtered_records_is_counted(read):
    """They hide no other, write no N, and neither their phase nor their REF matters."""
    rows = [
        ("c", 1, "AC", "A", ".", "1|0"),
        ("c", 2, "C", "G", ".", "1|1"),
        ("c", 3, "G", "A", ".", "0/1"),
        ("c", 4, "A", "C", ".", "1|1"),
        ("c", 5, "A", "C", ".", ".|0"),
        ("c", 7, "G", "C", ".", "0|0"),
        ("c", 9, "A", "C", ".", "1|1"),
    ]
    column = ["low", "PASS", "low", "deep;low", "deep", "deep", "deep"]
    people = read("ACGTACGT", rows, filter_column=column, filters="pass", missing="n")
    first, second = people[0]
    assert sequences([first, second]) == ["AGGTACGT"] * 2
    assert (first.applied, second.applied) == ({"SNV": 1}, {"SNV": 1})
    assert (first.skipped, second.skipped) == ({"filtered": 2, "missing": 1}, {"filtered": 2})
    haplotypes = read("ACGT", rows[:2], filter_column=column)[0]
    assert sequences(haplotypes) == ["AGT", "AGGT"]


def test_samples_are_chosen_and_come_in_the_order_of_the_file(tmp_path):
    rows = [("c", 1, "A", "T", ".", "1|0", "0|1", "1|1")]
    path = write_vcf(tmp_path / "a.vcf", vcf_text({"c": 4}, ["x", "y", "z"], rows), "plain")
    people = cohort_haplotypes(
        path, Genome({"c": "ACGT"}), [Interval("c", 0, 2)], samples=["z", "y"]
    )
    assert [(p.sample, sequences(p.haplotypes)) for p in people] == [
        ("y", ["AC", "TC"]),
        ("z", ["TC", "TC"]),
    ]


@pytest.mark.parametrize("contig", ["17", "chr17", "NC_000017.11"])
@pytest.mark.parametrize("other", ["17", "chr17", "NC_000017.11"])
@pytest.mark.parametrize("declared", [True, False])
def test_names_of_contigs_are_matched(tmp_path, contig, other, declared):
    lengths = {"chr1": 4, other: 4} if declared else {}
    text = vcf_text(lengths, ["s"], [(other, 2, "C", "G", ".", "0|1")])
    path = write_vcf(tmp_path / "a.vcf", text, "plain")
    genome = Genome({"NC_000017.11": "ACGT", "chr1": "TTTT"})
    (person,) = cohort_haplotypes(path, genome, [Interval(contig, 0, 4)])
    assert person.window.contig == contig
    assert sequences(person.haplotypes) == ["ACGT", "AGGT"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ["ACGTAC", "AGGTAC"]),
        ({"missing": "n"}, ["ANGNNC", "AGGTAC"]),
        ({"half_called": "missing"}, ["ACGTAC", "ACGTAC"]),
        ({"half_called": "missing", "missing": "n"}, ["ANGNNC", "ANGNNC"]),
    ],
)
def test_missing_and_half_called(read, settings, expected):
    rows = [("c", 2, "C", "G", ".", ".|1"), ("c", 4, "TA", "T", ".", ".|0")]
    haplotypes = read("ACGTAC", rows, **settings)[0]
    assert sequences(haplotypes) == expected
    assert haplotypes[0].skipped == {"missing": 2}


@pytest.mark.parametrize(
    ("policy", "expected"), [("skip", ["ACGA", "ACGA"]), ("as_written", ["ACGA", "AGCA"])]
)
def test_unphased(read, policy, expected):
    rows = [
        ("c", 2, "C", "G", ".", "0/1"),
        ("c", 3, "G", "C", ".", "./1"),
        ("c", 4, "T", "A", ".", "1/1"),
    ]
    haplotypes = read("ACGT", rows, unphased=policy)[0]
    assert sequences(haplotypes) == expected
    assert [h.skipped for h in haplotypes] == (
        [{"unphased": 2}] * 2 if policy == "skip" else [{"missing": 1}, {}]
    )


def test_an_unphased_heterozygote_stops_with_record_and_sample(read):
    rows = [("c", 1, "A", "C", ".", "1/1", "0|1"), ("c", 2, "C", "G", ".", "0|0", "1/0")]
    with pytest.raises(VcfError, match=r"c:2 .*sample 't' has the genotype 1/0 without phase"):
        read("ACGT", rows, samples=("s", "t"))


def test_haploid_genotypes(read):
    rows = [("c", 2, "C", "G", ".", "1", "0|1"), ("c", 3, "G", "T", ".", "0", "1|0")]
    male, female = read("ACGT", rows, samples=("m", "f"))
    assert sequences(male) == ["AGGT"]
    assert sequences(female) == ["ACTT", "AGGT"]
    male, _ = read("ACGT", rows, samples=("m", "f"), haploid="both")
    assert sequences(male) == ["AGGT", "AGGT"]


def test_records_that_are_haploid_for_everyone(read):
    rows = [("c", 2, "C", "G", ".", "1", "0"), ("c", 3, "G", "T", ".", ".", "1")]
    assert [sequences(h) for h in read("ACGT", rows, samples=("s", "t"))] == [["AGGT"], ["ACTT"]]


def test_at_the_border_of_a_haploid_region_the_second_haplotype_is_the_reference(read):
    rows = [("c", 2, "C", "G", ".", "0|1"), ("c", 3, "G", "T", ".", "1")]
    first, second = read("ACGT", rows)[0]
    assert (first.sequence, second.sequence) == ("ACTT", "AGGT")
    assert second.skipped == {"haploid": 1}


MISFITS = [
    (("c", 2, "G", "T", ".", "0|0"), "reference_mismatch", "REF is 'G', but the reference has 'C'"),
    (("c", 4, "TA", "T", ".", "1|1"), "past_end", "reaches past the end of the contig, .* 4 bp"),
    (("c", 9, "A", "T", ".", "1|1"), "past_end", "reaches past the end"),
    (("c", 2, "C", "<DEL>", "END=9", "1|1"), "past_end", "c:2 .* reaches past the end"),
]


@pytest.mark.parametrize(("row", "reason", "message"), MISFITS)
def test_records_that_do_not_fit_the_reference(read, row, reason, message):
    with pytest.raises(VcfError, match=message):
        read("ACGT", [row])
    haplotype = read("ACGT", [row], reference_mismatch="skip")[0][0]
    assert haplotype.sequence == "ACGT"
    expected = {reason: 1} if row[-1] == "1|1" and row[1] <= 4 else {}
    assert haplotype.skipped == expected


def test_ref_may_be_what_an_ambiguity_code_is_reduced_to(read):
    rows = [("c", 2, "A", "T", ".", "1|0"), ("c", 3, "n", "C", ".", "0|1")]
    assert sequences(read("CRNT", rows)[0]) == ["CTNT", "CRCT"]


BAD_REQUESTS = [
    (Interval("d", 0, 2), ContigError, r"window d:0-2: no contig 'd': found 'c'"),
    (Interval("c", 0, 5), IntervalError, r"window c:0-5: expected 0 <= start < end <= 4"),
    (Interval("c", 2, 2), IntervalError, r"window c:2-2: expected"),
    (Interval("c", -1, 2), IntervalError, r"window c:-1-2: expected"),
]


@pytest.mark.parametrize(("window", "error", "message"), BAD_REQUESTS)
def test_windows_lie_in_the_reference(tmp_path, window, error, message):
    path = write_vcf(tmp_path / "a.vcf", vcf_text({"c": 4}, ["s"], []), "plain")
    with pytest.raises(error, match=message):
        list(cohort_haplotypes(path, Genome({"c": "ACGT"}), [window]))


BAD_FILES = [
    ({"c": 4}, [], [], "has no samples, expected genotypes"),
    ({"d": 4}, ["s"], [], "no contig 'c': found 'd'"),
    ({}, ["s"], [], "has no records on 'c', and declares no contigs"),
    ({"c": 4}, ["s"], [("c", 1, "A", "C", ".", "0|1|1")], "have 3 alleles, expected 1 or 2"),
    ({"c": 4}, ["s"], [("c", 1, "A", "C", ".", "0|2")], "names allele 2, but there are 1 in ALT"),
    ({"c": 4}, ["s"], [("c", 1, "A", "C", ".", "0|0"), ("c", 1, "A", "C", ".")], "no genotypes"),
]


@pytest.mark.parametrize(("contigs", "samples", "rows", "message"), BAD_FILES)
def test_files_that_hold_no_haplotypes(tmp_path, contigs, samples, rows, message):
    path = write_vcf(tmp_path / "a.vcf", vcf_text(contigs, samples, rows), "plain")
    with pytest.raises(VcfError, match=message):
        list(cohort_haplotypes(path, Genome({"c": "ACGT"}), [Interval("c", 0, 4)]))


def test_a_random_individual_depends_on_the_window_alone(tmp_path):
    samples = [f"s{i}" for i in range(9)]
    rows = [("c", i + 1, "A", "C", ".", *["1|0"] * i, *["0|0"] * (9 - i)) for i in range(9)]
    path = write_vcf(tmp_path / "a.vcf", vcf_text({"c": 40}, samples, rows), "plain")
    genome = Genome({"c": "A" * 40})
    windows = [Interval("c", start, start + 10) for start in range(0, 30, 2)]
    drawn = {p.window: p for p in random_haplotypes(path, genome, windows, seed=3)}
    alone = {}
    for window in reversed(windows):
        (alone[window],) = random_haplotypes(path, genome, [window], seed=3)
    everyone = {(p.window, p.sample): p for p in cohort_haplotypes(path, genome, windows)}
    for window in windows:
        number = CounterRng("haplotype", 3, "c", window.start).integer(0, 9)
        assert drawn[window].sample == alone[window].sample == samples[number]
        expected = sequences(everyone[window, samples[number]].haplotypes)
        assert sequences(drawn[window].haplotypes) == expected
        assert sequences(alone[window].haplotypes) == expected
    assert len({p.sample for p in drawn.values()}) > 3
    others = random_haplotypes(path, genome, windows, seed=4)
    assert [p.sample for p in others] != [drawn[window].sample for window in windows]


def test_an_end_that_only_svlen_tells_is_known_to_no_index(tmp_path):
    """Behind the first base of the deletion, a stream and an index must say the same."""
    rows = [("c", 5, "A", "<DEL>", "SVLEN=-20", "1|1"), ("c", 38, "A", "C", ".", "1|1")]
    text = vcf_text({"c": 40}, ["s"], rows)
    windows = [Interval("c", 0, 10), Interval("c", 10, 40)]
    for name, kind in (("a.vcf", "plain"), ("b.vcf.gz", "bgzip"), ("c.bcf", "bcf")):
        path = write_vcf(tmp_path / name, text, kind)
        for window, expected, skipped in zip(
            windows, ("A" * 10, "A" * 27 + "CAA"), ({"no_end": 1}, {}), strict=True
        ):
            (person,) = cohort_haplotypes(path, Genome({"c": "A" * 40}), [window])
            assert sequences(person.haplotypes) == [expected] * 2
            assert person.haplotypes[0].skipped == skipped


def test_draws_are_different_people_and_the_first_is_always_the_same(tmp_path):
    samples = [f"s{i}" for i in range(9)]
    path = write_vcf(tmp_path / "a.vcf", vcf_text({"c": 40}, samples, []), "plain")
    genome, windows = Genome({"c": "A" * 40}), [Interval("c", i, i + 9) for i in range(30)]
    found = {
        draws: list(random_haplotypes(path, genome, windows, seed=3, draws=draws))
        for draws in (1, 2, 9)
    }
    for draws, people in found.items():
        assert [p.window for p in people] == [w for w in windows for _ in range(draws)]
        for i in range(30):
            here = [p.sample for p in people[draws * i : draws * (i + 1)]]
            assert len(set(here)) == draws
            assert here == [p.sample for p in found[9][9 * i : 9 * i + draws]]
    seconds = {p.sample for p in found[2][1::2]}
    assert len(seconds) > 4
    with pytest.raises(VcfError, match=r"a.vcf: found 9 samples, expected 10 or more"):
        list(random_haplotypes(path, genome, windows, seed=3, draws=10))


def test_unknown_settings_are_refused():
    with pytest.raises(ValidationError, match="mising"):
        HaplotypeConfig(mising="n")
