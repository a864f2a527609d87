"""What is held out: contigs, blocks and groups of blocks."""

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from helixlm.data.splits import SplitConfig, SplitError, assign

YEAST = {  # sacCer3
    "chrI": 230218, "chrII": 813184, "chrIII": 316620, "chrIV": 1531933, "chrV": 576874,
    "chrVI": 270161, "chrVII": 1090940, "chrVIII": 562643, "chrIX": 439888, "chrX": 745751,
    "chrXI": 666816, "chrXII": 1078177, "chrXIII": 924431, "chrXIV": 784333, "chrXV": 1091291,
    "chrXVI": 948066, "chrM": 85779,
}  # fmt: skip

genomes = st.dictionaries(
    st.text("abc12", min_size=1, max_size=4), st.integers(1, 5000), min_size=2, max_size=12
)


def bases_of(assignment, contigs):
    """Bases in each split, counted one by one."""
    counts = {"train": 0, "validation": 0}
    for name, length in contigs.items():
        for position in range(length):
            counts[assignment.split_of(name, position, position + 1)] += 1
    return counts


def test_named_contigs_are_held_out():
    assignment = assign(YEAST, SplitConfig(validation_contigs=("chrXII", "chrM")), seed=0)
    assert assignment.validation_contigs == ("chrXII", "chrM")
    assert assignment.split_of("chrM", 0, 85779) == "validation"
    assert assignment.split_of("chrI", 0, 230218) == "train"


@pytest.mark.parametrize("seed", range(20))
def test_chosen_contigs_of_yeast_hold_about_a_tenth(seed):
    held_out = assign(YEAST, SplitConfig(), seed).validation_contigs
    share = sum(YEAST[name] for name in held_out) / sum(YEAST.values())
    assert 0.1 <= share <= 0.2


def test_no_more_is_held_out_than_is_needed():
    contigs = {f"s{i}": 1000 for i in range(200)}
    assert len(assign(contigs, SplitConfig(), 0).validation_contigs) == 20


def test_the_seed_changes_the_choice():
    chosen = {assign(YEAST, SplitConfig(), seed).validation_contigs for seed in range(20)}
    assert len(chosen) > 15
    assert {name for names in chosen for name in names} == set(YEAST)


@settings(deadline=None, max_examples=200)
@given(genomes, st.sampled_from([0.05, 0.1, 0.3, 0.5]), st.integers(0, 99))
def test_chosen_contigs_leave_half_for_training(contigs, fraction, seed):
    config = SplitConfig(validation_fraction=fraction)
    held_out = assign(contigs, config, seed).validation_contigs
    bases = sum(contigs[name] for name in held_out)
    total = sum(contigs.values())
    assert 0 < len(held_out) < len(contigs)
    assert bases <= max(2 * fraction, 0.5) * total
    if bases < fraction * total:  # then no other contig can be added without taking too much
        others = [length for name, length in contigs.items() if name not in held_out]
        assert all(2 * (bases + length) > total for length in others)


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([50, 50], 1),
        ([990, 10], 1),  # the small one, though it is less than a tenth
        ([30, 30, 30], 1),
        ([249, 249, 249, 249, 4], 2),  # the small one alone would be too little
    ],
)
def test_genomes_of_few_contigs(lengths, expected, caplog):
    contigs = {f"c{i}": length for i, length in enumerate(lengths)}
    for seed in range(10):
        held_out = assign(contigs, SplitConfig(), seed).validation_contigs
        assert len(held_out) == expected
        share = sum(contigs[name] for name in held_out) / sum(lengths)
        assert share <= 0.5
        message = "validation gets 1 % of the bases (c1), not the 10 % asked for"
        assert (message in caplog.text) == (share < 0.1)


@settings(deadline=None, max_examples=100)
@given(genomes, st.sampled_from(["contig", "block"]), st.integers(0, 99), st.randoms())
def test_the_order_of_the_file_plays_no_part(contigs, by, seed, random):
    config = SplitConfig(by=by, block_bp=300)
    names = list(contigs)
    random.shuffle(names)
    shuffled = {name: contigs[name] for name in names}
    try:
        expected = assign(contigs, config, seed)
    except SplitError:
        return
    assert assign(shuffled, config, seed).validation == expected.validation


@settings(deadline=None, max_examples=100)
@given(
    genomes.filter(lambda g: max(g.values()) > 150),
    st.sampled_from([0.1, 0.25, 0.5]),
    st.integers(0, 99),
)
def test_one_block_in_every_run_is_held_out(contigs, fraction, seed):
    config = SplitConfig(by="block", validation_fraction=fraction, block_bp=100)
    run = round(1 / fraction)
    assignment = assign(contigs, config, seed)
    flags = b"".join(assignment.validation[name] for name in sorted(contigs))
    bases = [min(100, contigs[c] - i) for c in sorted(contigs) for i in range(0, contigs[c], 100)]
    assert len(flags) == len(bases)
    average = sum(bases) / len(bases)
    assert not any(flag for flag, n in zip(flags, bases, strict=True) if n < average / 2)
    flags = [flag for flag, n in zip(flags, bases, strict=True) if n >= average / 2]
    runs = [flags[i : i + run] for i in range(0, len(flags), run)]
    assert all(sum(r) == 1 for r in runs[:-1])
    assert sum(runs[-1]) <= 1
    assert 0 < sum(flags) < len(flags)


@settings(deadline=None, max_examples=200)
@given(st.integers(1000, 20_000_000), st.sampled_from([0.05, 0.1, 0.2, 0.5]), st.integers(0, 9))
def test_the_length_of_blocks_that_is_suggested_gives_the_share_that_is_asked_for(
    length, fraction, seed
):
    contigs = {"chr": length}
    with pytest.raises(SplitError, match="at least 2 contigs") as caught:
        assign(contigs, SplitConfig(validation_fraction=fraction), seed)
    [options] = re.findall(r"\(--set (.*)\)", str(caught.value))
    given = dict(option.removeprefix("split.").split("=") for option in options.split())
    config = SplitConfig.model_validate({**given, "validation_fraction": fraction})
    assignment = assign(contigs, config, seed)
    block_bp = assignment.block_bp
    held_out = sum(
        min(block_bp, length - i * block_bp)
        for i, flag in enumerate(assignment.validation["chr"])
        if flag
    )
    assert 1 / 1.5 <= held_out / length / fraction <= 1.5


def test_a_share_that_is_not_the_one_asked_for_is_told(caplog):
    """Escherichia coli has 5 blocks of 1 Mbp, of which one is held out."""
    coli = {"U00096.3": 4_641_652}
    assign(coli, SplitConfig(by="block"), seed=0)
    [warning] = [record.getMessage() for record in caplog.records]
    assert warning == (
        "split by block: validation gets 22 % of the bases, not the 10 % asked for, because there "
        "are 5 blocks of 1,000,000 bp only: choose smaller ones, such as "
        "--set split.block_bp=200000"
    )
    caplog.clear()
    assign(coli, SplitConfig(by="block", block_bp=200_000), seed=0)
    assert not caplog.records
    with pytest.raises(SplitError, match=r"found 1 in chrI: .*--set split\.block_bp=2000\Z"):
        assign({"chrI": 50_000}, SplitConfig(by="block"), seed=0)


def test_blocks_and_intervals_across_them():
    contigs = {"a": 1000, "b": 950}
    assignment = assign(contigs, SplitConfig(by="block", block_bp=100), seed=1)
    counts = bases_of(assignment, contigs)
    assert counts["train"] + counts["validation"] == 1950
    assert 100 <= counts["validation"] <= 200
    for name, length in contigs.items():
        for start, end in itertools.combinations(range(0, length + 1, 50), 2):
            each = {assignment.split_of(name, i, i + 1) for i in range(start, end)}
            expected = each.pop() if len(each) == 1 else None
            assert assignment.split_of(name, start, end) == expected


def test_the_choice_of_the_block_is_uniform():
    contigs = {"a": 1000}
    picks = [0] * 10
    for seed in range(500):
        flags = assign(contigs, SplitConfig(by="block", block_bp=100), seed).validation["a"]
        picks[flags.index(1)] += 1
    assert max(picks) < 80  # 50 expected, standard deviation 7
    assert min(picks) > 20


@pytest.mark.parametrize("seed", range(10))
def test_gaps_are_not_held_out(seed):
    contigs = {"a": 2200, "b": 50}
    block_bases = {"a": [0] * 14 + [30, 100, 100, 90, 100, 100, 0, 100], "b": [10]}
    config = SplitConfig(by="block", block_bp=100)
    flags = assign(contigs, config, seed, block_bases).validation
    assert sum(flags["a"]) == 1
    assert block_bases["a"][flags["a"].index(1)] >= 90
    assert flags["b"] == b"\0"
    with pytest.raises(
        SplitError, match=r"expected at least 2 blocks of 100 bp .* found 0 in a, b: give sequence"
    ):
        assign(contigs, config, seed, {"a": [0] * 22, "b": [0]})


@pytest.mark.parametrize(
    ("contigs", "fields", "message"),
    [
        (
            {"chrI": 10, "chrII": 20},
            {"validation_contigs": ("chr2", "chrI")},
            "no contig is named 'chr2'; found chrI, chrII",
        ),
        (
            {f"s{i}": 10 for i in range(30)},
            {"validation_contigs": ("x",)},
            "found s0, s1, .*, s11 and 18 more",
        ),
        (
            {"chrI": 10, "chrII": 20},
            {"validation_contigs": ("chrI", "chrII", "chrI")},
            "all 2 contigs are held out, so none is left for training",
        ),
        ({"chrI": 10}, {}, r"expected at least 2 contigs, found chrI: .*--set split\.by=block"),
        (
            {"chrI": 10},
            {"by": "block"},
            "at least 2 blocks of 1,000,000 bp with sequence, found 1 in chrI: choose a smaller",
        ),
    ],
)
def test_genomes_that_cannot_be_split(contigs, fields, message):
    with pytest.raises(SplitError, match=message):
        assign(contigs, SplitConfig(**fields), seed=0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"by": "block", "validation_contigs": ("chrI",)},
            "validation_contigs: expected none when the split is by block",
        ),
        ({"validation_fraction": 0}, "greater than 0"),
        ({"validation_fraction": 0.6}, "less than or equal to 0.5"),
        ({"block_bp": 0}, "greater than 0"),
        (
            {"by": "group", "validation_contigs": ("chrI",)},
            "validation_contigs: expected none when the split is by group",
        ),
        ({"group_share": 0}, "greater than 0"),
        ({"by": "file"}, "Input should be 'contig', 'block' or 'group'"),
    ],
)
def test_settings_that_make_no_split(fields, message):
    with pytest.raises(ValidationError, match=message):
        SplitConfig(**fields)


def test_too_much_in_validation_is_said(caplog):
    assign({"a": 60, "b": 40}, SplitConfig(), 0)
    assert "validation gets 40 % of the bases (b), not the 10 % asked for" in caplog.text


block_groups = st.dictionaries(
    st.text("abc12", min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 9)), min_size=1, max_size=20),
    min_size=1,
    max_size=5,
).filter(lambda g: len({group for blocks in g.values() for n, group in blocks if n}) > 1)


def assign_groups(blocks, seed=0, fraction=0.1):
    bases = {name: [n for n, _ in pairs] for name, pairs in blocks.items()}
    groups = {name: [group for _, group in pairs] for name, pairs in blocks.items()}
    contigs = {name: 100 * len(pairs) for name, pairs in blocks.items()}
    config = SplitConfig(by="group", block_bp=100, validation_fraction=fraction)
    return assign(contigs, config, seed, bases, groups)


@settings(deadline=None, max_examples=200)
@given(
    block_groups, st.sampled_from([0.1, 0.3, 0.5]), st.integers(0, 99), st.permutations(range(10))
)
def test_whole_groups_are_held_out(blocks, fraction, seed, numbers):
    assignment = assign_groups(blocks, seed, fraction)
    homes, held_out = {}, 0
    for name, pairs in blocks.items():
        for i, (bases, group) in enumerate(pairs):
            home = assignment.split_of(name, 100 * i, 100 * i + 100)
            if bases:
                homes.setdefault(group, set()).add(home)
                held_out += bases * (home == "validation")
            else:
                assert home == "train"
    assert all(len(home) == 1 for home in homes.values())
    total = sum(bases for pairs in blocks.values() for bases, _ in pairs)
    assert held_out <= total / 2
    # Neither the order of the contigs nor the numbers of the groups play a part.
    renamed = {
        name: [(bases, numbers[group]) for bases, group in blocks[name]]
        for name in reversed(blocks)
    }
    assert assign_groups(renamed, seed, fraction).validation == assignment.validation


def test_one_group_cannot_be_split():
    with pytest.raises(
        SplitError, match=r"at least 2 groups of blocks of 100 bp .* found 1 in a: .*group_share"
    ):
        assign_groups({"a": [(100, 5), (100, 5), (0, 6)]})


def test_a_group_that_is_too_large_is_said(caplog):
    assign_groups({"a": [(60, 0), (40, 1)]})
    assert "split by group: validation gets 40 % of the bases, not the 10 % asked" in caplog.text
    assert "of 2 groups the largest has 60 %" in caplog.text
