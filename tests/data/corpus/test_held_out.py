"""What of genomes and records is held out, against the rules read literally."""

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from tests.data.record_files import Cds, letters, write_cds

from helixlm.data.corpus.held_out import IN_BOTH, LEFT_OUT, hold_out
from helixlm.data.genome import Genome
from helixlm.data.records import write_records
from helixlm.data.sources import Source
from helixlm.data.splits import SplitConfig, SplitError, assign

TRAIN, VALIDATION = 0, 1


def open_cds(folder, found):
    folder.mkdir(exist_ok=True)
    path = write_cds(folder / "a.fa", found)
    return write_records(Source(cds=path), folder / "records")


def splits_of(records, config, seed=0):
    held_out = hold_out({"": records}, config, seed)
    return dict(zip(records.genome.contigs, held_out.records[0], strict=True))


def test_by_contig_chromosomes_and_single_records_are_drawn_as_contigs_are(tmp_path):
    found = [Cds(f"T{i}", letters(i, 100), (f"{i % 7}", 9 * i, 9 * i + 5, "+")) for i in range(70)]
    found += [Cds(f"L{i}", letters(f"l{i}", 100)) for i in range(40)]
    records = open_cds(tmp_path / "r", found)
    contigs = {f"{i}": 1000 for i in range(7)} | {f"L{i}": 100 for i in range(40)}
    for seed in range(5):
        chosen = set(assign(contigs, SplitConfig(), seed).validation_contigs)
        held_out = hold_out({"": records}, SplitConfig(), seed)
        got = splits_of(records, SplitConfig(), seed)
        assert {n for n, split in got.items() if split} == {
            r.name for r in found if (r.place[0] if r.place else r.name) in chosen
        }
        assert set(held_out.validation_contigs) == chosen & set("0123456")
        assert not held_out.contigs.validation


def test_records_may_be_held_out_by_the_names_of_chromosomes_alone(tmp_path):
    found = [Cds(f"T{i}", "ACGT", (f"{i}", 0, 4, "+")) for i in range(3)]
    records = open_cds(tmp_path / "r", found)
    got = splits_of(records, SplitConfig(validation_contigs=("1",)))
    assert got == {"T0": TRAIN, "T1": VALIDATION, "T2": TRAIN}
    with pytest.raises(SplitError, match="no contig is named '20'; found 0, 1, 2"):
        splits_of(records, SplitConfig(validation_contigs=("20",)))


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 3999), st.integers(1, 1500)), min_size=5, max_size=20),
    st.integers(0, 9),
)
def test_by_block_a_record_has_the_split_of_its_bases(tmp_path_factory, drawn, seed):
    places = [("c", start, start + length, "+") for start, length in drawn]
    places += [("c", at, at + 10, "+") for at in range(0, 4000, 500)]  # no block is empty
    found = [Cds(f"T{i}", letters(i, 40), place) for i, place in enumerate(places)]
    records = open_cds(tmp_path_factory.mktemp("block") / "r", found)
    config = SplitConfig(by="block", block_bp=500, validation_fraction=0.25)
    ends = max(place[2] for place in places)
    begins = [[p[1] // 500 for p in places].count(b) * 40 for b in range(-(-ends // 500))]
    try:
        assignment = assign({}, config, seed, {"c": begins})
    except SplitError:  # nearly all of it in one block
        reject()
    for record, got in zip(found, splits_of(records, config, seed).values(), strict=True):
        sides = {assignment.split_of("c", b, b + 1) for b in range(*record.place[1:3])}
        expected = {"train": TRAIN, "validation": VALIDATION}
        assert got == (IN_BOTH if len(sides) > 1 else expected[sides.pop()])


def test_by_group_what_shares_sequence_or_bases_stays_together(tmp_path):
    found = []
    for i in range(20):
        gene, text = 10_000 * i, letters(i, 600)
        found += [
            Cds(f"long{i}", text, ("1", gene, gene + 5000, "+")),
            Cds(f"isoform{i}", text[100:400], ("1", gene, gene + 5000, "+")),
            Cds(f"inner{i}", letters(f"i{i}", 90), ("1", gene + 100, gene + 200, "-")),
            Cds(f"nested{i}", letters(f"n{i}", 300), ("1", gene + 4000, gene + 6000, "-")),
            Cds(f"beside{i}", letters(f"b{i}", 300), ("1", gene + 6000, gene + 7000, "-")),
            Cds(f"copy{i}", letters(f"c{i}", 200) + text[:300]),
        ]
    records = open_cds(tmp_path / "r", found)
    config = SplitConfig(by="group", validation_fraction=0.3)
    apart = 0
    for seed in range(4):
        got = splits_of(records, config, seed)
        for i in range(20):
            linked = {got[f"{name}{i}"] for name in ("long", "isoform", "inner", "nested", "copy")}
            assert len(linked) == 1
            apart += got[f"beside{i}"] not in linked
        share = sum(len(r.sequence) for r in found if got[r.name]) / sum(
            len(r.sequence) for r in found
        )
        assert 0.3 <= share <= 0.4
    assert apart > 10  # touching is not overlapping


def test_by_group_records_of_a_genome_are_where_its_blocks_are(tmp_path):
    contigs = {f"c{i}": letters(f"g{i}", 3000) for i in range(10)}
    fasta = tmp_path / "g.fa"
    fasta.write_text("".join(f">{name}\n{text}\n" for name, text in contigs.items()))
    genome = Genome.from_fasta([fasta], tmp_path / "genome")
    found = [Cds(name, text[500:1100]) for name, text in contigs.items()]
    records = open_cds(tmp_path / "r", found)
    config = SplitConfig(by="group", block_bp=3000, validation_fraction=0.3)
    held_out = hold_out({"g:": genome, "r:": records}, config, 1)
    assert held_out.records[0] is None
    got = dict(zip(records.genome.contigs, held_out.records[1], strict=True))
    assert (
        {name for name, split in got.items() if split}
        == {name for name in contigs if held_out.contigs.validation[f"g:{name}"][0]}
        != set()
    )
    assert held_out.contigs.validation.keys() == {f"g:{name}" for name in contigs}


def test_one_loose_record_beside_chromosomes_is_for_training(tmp_path):
    found = [Cds(f"T{i}", letters(i, 50), ("1", 100 * i, 100 * i + 50, "+")) for i in range(20)]
    records = open_cds(tmp_path / "r", [*found, Cds("loose", "ACGT")])
    config = SplitConfig(by="block", block_bp=100, validation_fraction=0.25)
    got = splits_of(records, config)
    assert got["loose"] == TRAIN
    assert list(got.values()).count(VALIDATION) == 5


@pytest.mark.parametrize("by", ["contig", "block", "group"])
def test_what_is_left_out_plays_no_part_in_the_draw(tmp_path, by):
    config = SplitConfig(by=by, block_bp=200, validation_fraction=0.3)
    found = [
        Cds(f"T{i}", letters(i, 300), (f"{i % 5}", 9 * i, 9 * i + 300, "+")) for i in range(30)
    ]
    found += [Cds(f"L{i}", letters(f"l{i}", 300)) for i in range(9)]
    others = [Cds(f"A{i}", letters(f"a{i}", 300), ("2_alt", i, i + 300, "+")) for i in range(9)]
    others += [Cds("L_alt", letters("other", 300))]
    mixed = [record for pair in zip(others, found, strict=False) for record in pair] + found[10:]
    contigs = {f"c{i}": letters(f"c{i}", 2000) for i in range(6)}
    alt = {"c2_alt": contigs["c1"][:900] + contigs["c2"], "c3_alt": letters("alt", 900)}
    fasta = {}
    for name, texts in (("plain", contigs), ("more", alt | contigs)):
        fasta[name] = tmp_path / f"{name}.fa"
        fasta[name].write_text("".join(f">{key}\n{text}\n" for key, text in texts.items()))
    without = {
        "g:": Genome.from_fasta([fasta["plain"]], tmp_path / "p"),
        "r:": open_cds(tmp_path / "a", found),
    }
    more = {
        "g:": Genome.from_fasta([fasta["more"]], tmp_path / "m"),
        "r:": open_cds(tmp_path / "b", mixed),
    }
    left_out = config.model_copy(update={"left_out": ("*_alt", "*_fix")})  # _fix matches nothing
    for seed in range(3):
        expected, got = hold_out(without, config, seed), hold_out(more, left_out, seed)
        assert got.contigs == expected.contigs
        assert got.validation_contigs == expected.validation_contigs
        splits = [
            dict(zip(genomes["r:"].genome.contigs, held_out.records[1], strict=True))
            for genomes, held_out in ((without, expected), (more, got))
        ]
        assert splits[1] == splits[0] | {record.name: LEFT_OUT for record in others}


def test_leaving_out_too_much_is_refused(tmp_path):
    path = tmp_path / "a.fa"
    path.write_text(">NW_1\nACGT\n>NW_2\nACGT\n")
    genomes = {"": Genome.from_fasta([path], tmp_path / "g")}
    with pytest.raises(
        SplitError, match=r"split.left_out: NT_\*, NW_\* matches all contigs \(NW_1"
    ):
        hold_out(genomes, SplitConfig(left_out=("NT_*", "NW_*")), 0)
    config = SplitConfig(validation_contigs=("NW_1",), left_out=("*_1",))
    with pytest.raises(
        SplitError, match=r"validation_contigs: NW_1 matches split.left_out \(\*_1\)"
    ):
        hold_out(genomes, config, 0)
