"""Windows around features: both strands by hand, against slices, and places that do not fit."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.data.window_laws import cut_text, dropped_of, spans_of, windows_of

from helixlm.data.windows import Feature, FeatureWindows, Window, WindowError, feature_spans

#         0123456789012345
CONTIG = "AACCGGTTacgtNNRC"


def around(config, *places, contig=CONTIG):
    features = [Feature("chr1", start, end, strand) for start, end, strand in places]
    return cut_text(contig, config, features=features)


def test_around_a_start_on_both_strands():
    config = FeatureWindows(upstream_bp=2, downstream_bp=3)
    found = around(config, (4, 7, "+"), (6, 9, "-"))
    # +: the first base is 4, the G after AACC; -: the first base is 8, whose complement is t.
    assert found == [
        ("chr1", 0, 2, "no_feature"),
        Window("chr1", 2, 7, "CCGGT", "+"),
        Window("chr1", 6, 11, "cgtAA", "-"),
        ("chr1", 11, 16, "no_feature"),
    ]


def test_a_point_is_at_the_same_place_of_both_strands():
    config = FeatureWindows(upstream_bp=3, downstream_bp=1)
    plus, minus = windows_of(around(config, (5, 6, "+"), (5, 6, "-")))
    assert (plus.sequence, minus.sequence) == ("CCGG", "tAAC")
    assert plus.sequence[3] == CONTIG[5] == "G"
    assert minus.sequence[3] == "C"  # its complement


def test_around_an_interval():
    config = FeatureWindows(upstream_bp=2, downstream_bp=1, around="interval")
    found = windows_of(around(config, (3, 6, "+"), (3, 6, "-")))
    assert found == [
        Window("chr1", 1, 7, "ACCGGT", "+"),
        Window("chr1", 2, 8, "AACCGG", "-"),
    ]


@settings(deadline=None, max_examples=200)
@given(st.text("ACGT", min_size=1, max_size=60), st.data())
def test_turning_the_contig_around_turns_the_strands_around(contig, data):
    """The same features on the reverse complement give the same sequences."""
    start = data.draw(st.integers(0, len(contig) - 1))
    end = data.draw(st.integers(start + 1, len(contig)))
    config = FeatureWindows(
        upstream_bp=data.draw(st.integers(0, 9)),
        downstream_bp=data.draw(st.integers(1, 9)),
        around=data.draw(st.sampled_from(["start", "interval"])),
    )
    turned = contig.translate(str.maketrans("ACGT", "TGCA"))[::-1]
    size = len(contig)
    one = windows_of(around(config, (start, end, "+"), contig=contig))
    other = windows_of(around(config, (size - end, size - start, "-"), contig=turned))
    assert [w.sequence for w in one] == [w.sequence for w in other]
    assert [(size - w.end, size - w.start) for w in one] == spans_of(other)


def test_n_near_ends_and_twice_the_same():
    config = FeatureWindows(upstream_bp=2, downstream_bp=2, n="drop")
    places = [(1, 2, "+"), (2, 3, "+"), (2, 9, "+"), (11, 12, "+"), (15, 16, "+"), (14, 15, "+")]
    assert spans_of(around(config, *places)) == [(0, 4)]  # 1 and 15 leave the contig, 11 has N
    kept = config.model_copy(update={"max_n_fraction": 0.5, "iupac": "n"})
    assert spans_of(around(kept, *places)) == [(0, 4), (9, 13)]  # 12-16 is NNNC
    assert dropped_of(around(kept, *places))[-1] == (13, 16, "no_feature")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (
            (12, 17, "+"),
            r"feature 1 \(chr1:12-17\): expected 0 <= start < end <= 16, .* another ass",
        ),
        ((-1, 3, "+"), r"feature 1 \(chr1:-1-3\): expected 0 <= start"),
        ((3, 3, "-"), r"feature 1 \(chr1:3-3\): expected 0 <= start < end"),
        ((3, 4, "."), r"feature 1 \(chr1:3-4\): strand '.', expected '\+' or '-'"),
    ],
)
def test_features_that_do_not_fit_are_refused(place, message):
    config = FeatureWindows(upstream_bp=2, downstream_bp=2)
    elsewhere = Feature("chr2", 99, 100, ".")  # another contig's are its own matter
    with pytest.raises(WindowError, match=message):
        cut_text(CONTIG, config, features=[elsewhere, Feature("chr1", *place)])


def test_spans_alone():
    config = FeatureWindows(upstream_bp=1, downstream_bp=2)
    features = [Feature("chr1", 7, 9, "-"), Feature("chr2", 3, 4, "+"), Feature("chr1", 3, 4, "+")]
    assert feature_spans(features, "chr1", 16, config) == [(2, 5, "+"), (7, 10, "-")]


def test_windows_without_bases_are_refused():
    with pytest.raises(ValidationError, match="are 0: expected at least 1 base"):
        FeatureWindows(upstream_bp=0, downstream_bp=0)
    FeatureWindows(upstream_bp=0, downstream_bp=0, around="interval")
