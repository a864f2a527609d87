"""The leak check against a comparison of every pair of windows, and planted leaks of each kind."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.data.similarity import leak_index, leaks
from helixlm.data.similarity.duplicates import LetterFile
from helixlm.data.similarity.leak_report import KINDS, Leak, LeakReport, Unchecked
from helixlm.data.similarity.leaks import check_leaks
from helixlm.data.windows import Window
from helixlm.rng import CounterRng
from helixlm.seq.alphabet import AlphabetError

COMPLEMENT = str.maketrans("ACGTacgt", "TGCAtgca")
BY_SEQUENCE = KINDS[1:]


class Windows:
    """A corpus in memory."""

    def __init__(self, contigs=None, **splits):
        self.contigs = contigs or {}
        self.splits = splits

    def iter_windows(self, split):
        return iter(self.splits[split])


def window(contig, start, sequence):
    return Window(contig, start, start + len(sequence), sequence)


def random_dna(name, length):
    return "".join("ACGT"[code] for code in CounterRng("test", name).integers(0, 4, length))


def turned(text):
    return text.translate(COMPLEMENT)[::-1]


def kmers(text, k):
    words = (text[i : i + k] for i in range(len(text) - k + 1))
    return {min(word, turned(word)) for word in words if "N" not in word}


def kind_by_sequence(first, second, near, k):
    """What two sequences are to each other, by the words of the docstring."""
    first, second = first.upper(), second.upper()
    if first == second:
        return "identical"
    if first == turned(second):
        return "reverse complement"
    sets = kmers(first, k), kmers(second, k)
    shared = len(sets[0] & sets[1])
    if near is None or not shared or shared < near * min(map(len, sets)):
        return None
    short, long = sorted((first, second), key=len)
    return "contained" if short in long or turned(short) in long else "near"


def bases_of(window, contigs):
    """The bases under a window, which may go past the end of a contig whose length is known."""
    length = contigs.get(window.contig, window.end)
    return {(window.contig, place % length) for place in range(window.start, window.end)}


def slow_check(train, validation, near, k, contigs):
    """Counts of windows by kind, of those that leak and of unchecked ones, for both splits."""
    places = [[False] * len(train), [False] * len(validation)]
    kinds = [[set() for _ in train], [set() for _ in validation]]
    for i, t in enumerate(train):
        for j, v in enumerate(validation):
            if bases_of(t, contigs) & bases_of(v, contigs):
                places[0][i] = places[1][j] = True
            kind = kind_by_sequence(t.sequence, v.sequence, near, k)
            kinds[0][i].add(kind)
            kinds[1][j].add(kind)
    counts = []
    for overlaps, found, windows in zip(places, kinds, (train, validation), strict=True):
        first = [next((kind for kind in BY_SEQUENCE if kind in each), None) for each in found]
        count = {kind: first.count(kind) for kind in BY_SEQUENCE}
        leaks = [o or f is not None for o, f in zip(overlaps, first, strict=True)]
        empty = [not kmers(window.sequence.upper(), k) for window in windows]
        unchecked = sum(e and not leak for e, leak in zip(empty, leaks, strict=True))
        counts.append(({"overlapping": sum(overlaps)} | count, sum(leaks), unchecked))
    return counts


# Sequences that are joined from few pieces share k-mers; free texts hardly do.
pieces = st.sampled_from(["ACGTTGC", "ggatCCTTA", "TTTTTTT", "CAGTCNAGG", "GCAACGT"])
window_lists = st.lists(
    st.builds(
        window,
        st.sampled_from("ab"),
        st.integers(0, 300),
        st.one_of(
            st.text("ACGTacgt", min_size=1, max_size=4),
            st.text("ACGtN", min_size=5, max_size=14),
            st.lists(pieces, min_size=1, max_size=4).map("".join),
        ),
    ),
    max_size=20,
)


@settings(deadline=None, max_examples=300)
@given(
    window_lists,
    window_lists,
    st.sampled_from([None, 0.3, 0.5, 1.0]),
    st.sampled_from([{}, {"a": 301}]),
    st.sampled_from([1, 3, 50]),
    st.sampled_from([1, 100, 1_000_000]),
)
def test_leaks_against_a_comparison_of_every_pair(
    train, validation, near, contigs, scale, most_waiting
):
    """Whatever the sample, and however few windows wait: what is too short for it is found."""
    (train_counts, num_train, empty_train), (validation_counts, num_validation, empty) = slow_check(
        train, validation, near, 5, contigs
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leak_index, "scale_for", lambda *_: scale)
        patch.setattr(leak_index, "_MOST_WAITING_KMERS", most_waiting)
        patch.setattr(leaks, "_BATCH", 3)
        windows = Windows(contigs, train=train, validation=validation)
        report = check_leaks(windows, near=near, k=5)
    looked_for = KINDS if near else KINDS[:3]
    assert (report.num_train, report.num_validation) == (len(train), len(validation))
    assert report.train == {kind: train_counts[kind] for kind in looked_for}
    assert report.validation == {kind: validation_counts[kind] for kind in looked_for}
    assert report.overlapping == train_counts["overlapping"]
    assert (report.num_leaking_train, report.num_leaking_validation) == (num_train, num_validation)
    if near is None:
        empty_train = empty = 0
    assert report.unchecked_train == Unchecked(empty_train, 0)
    assert report.unchecked_validation == Unchecked(empty, 0)
    assert report.leaking == (num_train > 0)
    assert report.clean == (num_train + empty_train + empty == 0)
    assert {leak.kind for leak in report.examples} >= {k for k, n in report.train.items() if n}


ORIGINAL = random_dna("held out", 1000)
AFTER = str.maketrans("ACGT", "CGTA")
CHANGED = "".join(b.translate(AFTER) if i % 100 == 50 else b for i, b in enumerate(ORIGINAL))
PLANTED = {
    "overlapping": window("v", 999, random_dna("elsewhere", 1000)),
    "identical": window("t", 0, ORIGINAL.lower()),
    "reverse complement": window("t", 0, turned(ORIGINAL)),
    "contained": window("t", 0, turned(ORIGINAL[300:800])),
    "near": window("t", 0, turned(CHANGED)),
}


def split_with(planted):
    train = [window("t", 1000 * i, random_dna(f"t{i}", 1000)) for i in range(1, 30)]
    validation = [window("w", 1000 * i, random_dna(f"w{i}", 1000)) for i in range(30)]
    return Windows(train=[*train, *planted], validation=[*validation, window("v", 0, ORIGINAL)])


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_leak_is_found(kind):
    report = check_leaks(split_with([PLANTED[kind]]), near=0.5)
    assert report.train == {k: int(k == kind) for k in KINDS} == report.validation
    assert report.verdict == (
        "leaks: 1 of 30 (3.3 %) training and 1 of 31 (3.2 %) validation windows"
    )
    (leak,) = report.examples
    planted = PLANTED[kind]
    assert leak.kind == kind
    assert leak.train == f"{planted.contig}:{planted.start}-{planted.end}"
    assert leak.validation == "v:0-1000"
    # 10 changed bases, 21 k-mers each, of 980
    shares = {"overlapping": 0.001, "near": 770 / 980}
    assert leak.share == pytest.approx(shares.get(kind, 1.0))


@pytest.mark.parametrize(
    "sequence",
    [
        ORIGINAL[520:] + random_dna("rest", 520),  # shares less than half
        "".join(b.translate(AFTER) if i % 20 == 0 else b for i, b in enumerate(ORIGINAL)),
        ORIGINAL[::-1],  # turned, not complemented
    ],
)
def test_a_clean_split_passes(sequence):
    touching = window("v", 1000, random_dna("neighbour", 1000))
    report = check_leaks(split_with([touching, window("t", 0, sequence)]), near=0.5)
    assert report.clean
    assert report.examples == ()
    assert report.verdict == "clean: no leaks among 31 training and 31 validation windows"


def test_leaks_into_short_sequences_are_found():
    """Sequences of 70 bp (core promoters): the density of the samples follows their length."""
    validation = [window("v", 70 * i, random_dna(f"p{i}", 70)) for i in range(500)]
    train = [  # 26 of 50 k-mers are shared
        window("t", 70 * i, v.sequence[24:] + random_dna(f"q{i}", 24))
        for i, v in enumerate(validation)
    ]
    report = check_leaks(Windows(train=train, validation=validation), near=0.5)
    assert report.train["near"] >= 498


@pytest.mark.parametrize(
    ("train_bp", "validation_bp"),
    [(70, 1000), (70, 9000), (300, 9000), (21, 1500), (1000, 70), (9000, 70), (4000, 21)],
)
def test_slices_of_longer_windows_are_all_found(train_bp, validation_bp):
    """One split holds exact slices of the windows of the other, every second turned."""
    short, long = sorted((train_bp, validation_bp))
    whole = [random_dna(f"whole {i}", long) for i in range(60)]
    slices = [text[long // 3 : long // 3 + short] for text in whole]
    slices = [turned(text) if i % 2 else text for i, text in enumerate(slices)]
    sides = (slices, whole) if train_bp < validation_bp else (whole, slices)
    train, validation = ([window(f"c{i}", 0, t) for i, t in enumerate(side)] for side in sides)
    report = check_leaks(Windows(train=train, validation=validation), near=0.5, places=False)
    assert report.train["contained"] == report.validation["contained"] == 60
    assert (
        report.verdict == "leaks: 60 of 60 (100 %) training and 60 of 60 (100 %) validation windows"
    )


def test_short_windows_that_share_half_with_a_long_one_are_found():
    """26 of the 50 k-mers of training windows of 70 bp are in validation windows of 1,000 bp."""
    whole = [random_dna(f"whole {i}", 1000) for i in range(500)]
    parts = [text[500:546] + random_dna(f"rest {i}", 24) for i, text in enumerate(whole)]
    train, validation = ([window("t", 0, text) for text in side] for side in (parts, whole))
    report = check_leaks(Windows(train=train, validation=validation), near=0.5, places=False)
    assert report.train["near"] >= 498
    assert min(leak.share for leak in report.examples) >= 26 / 50


def test_a_pair_that_is_found_both_ways_is_one_example():
    """A sequence that repeats itself has few k-mers, and is looked up in both directions."""
    inner = random_dna("unit", 60)
    train = [window("t", 0, inner * 20)]
    validation = [window("v", 0, random_dna("v", 900) + inner * 3 + random_dna("w", 100))]
    validation += [window("w", i, random_dna(f"w{i}", 1000)) for i in range(9)]
    report = check_leaks(Windows(train=train, validation=validation), near=0.5, places=False)
    assert [leak.kind for leak in report.examples] == ["near"]


def test_the_density_follows_letters_not_the_genome():
    """Coding sequences of 150 bp that span introns of 100 kbp."""
    texts = [random_dna(f"cds {i}", 180) for i in range(200)]
    train = [Window("t", 10**6 * i, 10**6 * i + 100_000, text) for i, text in enumerate(texts)]
    validation = [w._replace(contig="v", sequence=w.sequence[30:]) for w in train]
    report = check_leaks(Windows(train=train, validation=validation), near=0.5)
    assert report.train["contained"] == report.validation["contained"] == 200
    assert report.all_checked
    with LetterFile() as letters:
        held = leak_index.HeldWindows(letters, 0.5, 21, places=True, contigs={})
        held.add(validation)
        held.finish()
        assert held.likeness.scale == 5  # half of 130 k-mers, 12 of them in the sample


def test_windows_without_kmers_are_said():
    sequences = [random_dna("a", 20), "N" * 60, random_dna("b", 100)]
    train = [window("t", 100 * i, text) for i, text in enumerate(sequences)]
    validation = [window("v", 0, random_dna("c", 1000)), window("v", 1000, random_dna("d", 10))]
    report = check_leaks(Windows(train=train, validation=validation), near=0.5)
    assert (report.unchecked_train, report.unchecked_validation) == (
        Unchecked(without_kmers=2, hidden=0),
        Unchecked(without_kmers=1, hidden=0),
    )
    assert not report.leaking and not report.all_checked and not report.clean
    assert report.verdict == (
        "unclear: no leaks found among 3 training and 2 validation windows (2 training and 1 "
        "validation windows hold no k-mer (too short, or too much N): they may be contained or "
        "near)"
    )
    # An identical one has a leak, and needs no other check; the other kinds do not ask for k-mers.
    again = Windows(train=train, validation=[*validation, window("v", 2000, sequences[0])])
    assert check_leaks(again, near=0.5).unchecked_train.without_kmers == 1
    assert check_leaks(Windows(train=train, validation=validation)).clean


def test_short_training_windows_that_may_be_overlooked_are_said():
    """Of 330 short copies with one change each, the last have k-mers that 256 before them have."""
    text = random_dna("short", 300)
    family = [text[:i] + text[i].translate(AFTER) + text[i + 1 :] for i in range(300)] * 2
    family = [family[i] if i < 300 else mutated(i, text, 0.01) for i in range(330)]
    train = [window("t", 1000 * i, text) for i, text in enumerate(family)]
    for shared, fewest in (("", 0), (text, 250)):
        validation = [window("v", 10_000 * i, random_dna(f"v{i}", 9000)) for i in range(9)]
        validation.append(
            window("v", 10**6, random_dna("w", 4000) + shared + random_dna("x", 4000))
        )
        report = check_leaks(Windows(train=train, validation=validation), near=0.5)
        assert report.num_leaking_train >= fewest
        assert report.leaking == bool(shared)
        hidden = report.unchecked_train.hidden
        assert hidden <= 330 - report.num_leaking_train
        if not shared:
            assert hidden > 30
            assert report.verdict.startswith("unclear: no leaks found among 330 training and 10 ")
            assert f"({hidden} training windows share their k-mers with more than" in report.verdict
        # Copies of one sequence are no others.
        copies = [window("t", 1000 * i, text) for i in range(330)]
        found = check_leaks(Windows(train=copies, validation=validation), near=0.5)
        assert found.train["contained"] == 330 * bool(shared)
        assert found.all_checked


@pytest.mark.parametrize(
    ("leaking", "total", "percent"),
    [
        (1, 1, "100"),
        (500, 500, "100"),
        (999, 1000, "99"),
        (1, 3, "33"),
        (1, 30, "3.3"),
        (1, 10_000_000, "0.00001"),
    ],
)
def test_parts_in_percent(leaking, total, percent):
    none, unchecked = dict.fromkeys(KINDS, 0), Unchecked(0, 0)
    report = LeakReport(
        num_train=total,
        num_validation=2,
        train=none | {"near": leaking},
        validation=none | {"near": 1},
        num_leaking_train=leaking,
        num_leaking_validation=1,
        near=0.5,
        examples=(),
        unchecked_train=unchecked,
        unchecked_validation=unchecked,
    )
    assert report.verdict == (
        f"leaks: {leaking:,} of {total:,} ({percent} %) training and 1 of 2 (50 %) validation "
        "windows"
    )


def test_the_worst_examples_are_shown():
    parts = [window("t", i, ORIGINAL[i:] + random_dna(i, i)) for i in range(100, 480, 20)]
    report = check_leaks(split_with([*parts, PLANTED["identical"]]), near=0.5)
    near = [leak for leak in report.examples if leak.kind == "near"]
    assert [leak.train for leak in near] == [f"t:{i}-{i + 1000}" for i in range(100, 200, 20)]
    assert [leak.kind for leak in report.examples] == ["identical"] + ["near"] * 5
    same = check_leaks(split_with([PLANTED["identical"]._replace(start=i) for i in range(9)]))
    assert [leak.train for leak in same.examples] == [f"t:{i}-1000" for i in range(5)]


def mutated(name, text, share):
    """Change a share of the bases, at random."""
    changed = CounterRng("mutated", name).uniform(len(text)) < share
    return "".join(b.translate(AFTER) if c else b for b, c in zip(text, changed, strict=True))


@pytest.mark.parametrize("number", [100, 300])
@pytest.mark.parametrize("copies", [1, 40])
def test_all_of_many_near_windows_are_found(number, copies):
    """Relatives on both strands, each `copies` times, and those in training that are near them."""
    family = [mutated(i, ORIGINAL, 0.02) for i in range(number)]
    texts = [turned(text) if i % 2 else text for i, text in enumerate(family)] * copies
    validation = [window("v", 1000 * i, text) for i, text in enumerate(texts)]
    validation += [window("w", 1000 * i, random_dna(f"w{i}", 1000)) for i in range(9)]
    parts = [ORIGINAL, random_dna("t", 1000), ORIGINAL[:900], family[-1][200:700]]
    train = [window("t", 1000 * i, text) for i, text in enumerate(parts)]
    report = check_leaks(Windows(train=train, validation=validation), near=0.4)
    assert report.train["contained"] == 1
    assert report.train["near"] == 2
    assert report.validation["contained"] == copies
    assert report.validation["near"] == (number - 1) * copies
    assert report.all_checked


def test_windows_that_may_be_overlooked_are_said():
    """Of 330 copies with one change each, the last have k-mers that are in 256 before them."""
    family = [ORIGINAL[:i] + ORIGINAL[i].translate(AFTER) + ORIGINAL[i + 1 :] for i in range(330)]
    validation = [window("v", 1000 * i, text) for i, text in enumerate(family)]
    for train in (PLANTED["near"], window("t", 0, random_dna("t", 1000))):
        report = check_leaks(Windows(train=[train], validation=validation), near=0.5)
        hidden = report.unchecked_validation.hidden
        if report.leaking:
            assert report.num_leaking_validation + hidden == 330
            assert hidden > 30
        else:
            assert 30 < hidden <= 330 - 256
        assert not report.clean
        note = (
            f" ({hidden} validation windows share their k-mers with more than 256 others: they may "
            "be contained or near)"
        )
        assert report.verdict.endswith(f" validation windows{note}")
        assert report.verdict.startswith(
            "leaks: at least 1 of 1 " if report.leaking else "unclear: "
        )
        assert str(report).splitlines()[0].endswith(f" of the k-mers of one or more{note}")
        few = Windows(train=[train], validation=validation[:250])
        assert check_leaks(few, near=0.5).all_checked
        assert check_leaks(Windows(train=[train], validation=validation)).all_checked


def test_a_palindrome_is_identical_and_nothing_else():
    palindrome = ORIGINAL + turned(ORIGINAL)
    corpus = Windows(train=[window("t", 0, palindrome)], validation=[window("v", 0, palindrome)])
    assert [leak.kind for leak in check_leaks(corpus, near=0.5).examples] == ["identical"]


def test_windows_across_an_origin_overlap_what_is_on_either_side():
    across, whole = window("a", 95, random_dna("across", 10)), window("a", 0, random_dna("w", 100))
    places = {(0, 3): 1, (3, 9): 2 / 6, (5, 90): 0, (90, 96): 1 / 6, (96, 103): 1}
    for (start, end), share in places.items():
        other = window("a", start, random_dna(start, end - start))
        for one, two in ((across, other), (other, across)):
            report = check_leaks(Windows({"a": 100}, train=[one], validation=[two]))
            assert [leak.share for leak in report.examples] == [share] * bool(share)
    (leak,) = check_leaks(Windows({"a": 100}, train=[whole], validation=[across])).examples
    assert leak.share == 1


def test_names_without_places_do_not_overlap():
    report = check_leaks(split_with([PLANTED["overlapping"]]), places=False)
    assert report.clean
    assert list(report.train) == ["identical", "reverse complement"]


def test_the_report_in_words():
    corpus = Windows(
        train=[window("a", 10, "ACGTA"), window("b", 0, "GGGGGG")],
        validation=[window("a", 14, "TTTTTTT"), window("a", 50, "cccccc")],
    )
    calls = []
    report = check_leaks(corpus, progress=lambda done, total: calls.append((done, total)))
    assert str(report).splitlines() == [
        "2 training and 2 validation windows: 1 training windows overlap validation windows, "
        "0 have the sequence of one, 1 its reverse complement",
        "  training a:10-15 overlaps 20 % of validation a:14-21",
        "  training b:0-6 is the reverse complement of validation a:50-56",
    ]
    assert calls == [(2, None), (4, None)]
    words = str(check_leaks(corpus, near=0.5, k=3)).splitlines()[0]
    assert words.endswith(
        "0 hold one or are held by one, 0 share 50 % of the k-mers of one or more"
    )
    near, held = (Leak(kind, "a:0-9", "b:0-9", 0.7) for kind in ("near", "contained"))
    assert str(near) == "training a:0-9 shares 70 % of its k-mers with validation b:0-9"
    assert str(held) == "training a:0-9 holds, or is held by, validation b:0-9"
    same = Leak("identical", "a:0-9", "b:0-9", 1.0)
    assert str(same) == "training a:0-9 has the sequence of validation b:0-9"


def test_one_side_may_be_empty():
    some = [window("a", 0, random_dna("some", 30))]
    for corpus in (Windows(train=some, validation=[]), Windows(train=[], validation=some)):
        assert check_leaks(corpus, near=0.5).clean


@pytest.mark.parametrize("near", [0, -0.5, 1.5])
def test_what_is_no_share(near):
    with pytest.raises(ValueError, match=f"near {near}: expected a share above 0 and at most 1"):
        check_leaks(Windows(train=[], validation=[]), near=near)


def test_letters_that_are_no_dna():
    with pytest.raises(AlphabetError, match="letter 'X' at position 2"):
        check_leaks(Windows(train=[window("a", 0, "ACX")], validation=[]))
