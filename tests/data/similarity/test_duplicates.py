"""Duplicates against a comparison of every pair, and planted copies of known divergence."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from helixlm.data.similarity import duplicates as module
from helixlm.data.similarity.duplicates import (
    Duplicate,
    DuplicateConfig,
    LetterFile,
    remove_duplicates,
)
from helixlm.data.windows import Window
from helixlm.errors import StateError
from helixlm.rng import CounterRng

COMPLEMENT = str.maketrans("ACGTacgt", "TGCAtgca")

short_texts = st.lists(st.text("ACgN", min_size=1, max_size=5), max_size=40)
# Texts that are joined from few pieces share k-mers; free ones hardly do.
pieces = st.sampled_from(["ACGTTGCAGA", "ggatCCTTAC", "TTTTTTTTTT", "CAGNTCAGGT", "TGCAACGTCC"])
like_texts = st.lists(
    st.one_of(st.lists(pieces, max_size=4).map("".join), st.text("ACGt", max_size=30)), max_size=25
)


def random_dna(name, length):
    return "".join("ACGT"[code] for code in CounterRng("test", name).integers(0, 4, length))


def turned(text):
    return text.translate(COMPLEMENT)[::-1]


def mutated(text, every, shift=0):
    """Change every so manieth base."""
    after = str.maketrans("ACGT", "CGTA")
    return "".join(
        base.translate(after) if i % every == shift else base for i, base in enumerate(text)
    )


def windows_of(texts):
    return [Window("c", 100 * i, 100 * i + len(text), text) for i, text in enumerate(texts)]


def kmers(text, k):
    words = (text.upper()[i : i + k] for i in range(len(text) - k + 1))
    return {min(word, turned(word)) for word in words if "N" not in word}


def near(**settings):
    return DuplicateConfig(remove="near", **settings)


def removed(texts, config=None):
    """Index, reason and original of what is left out; the others are passed on as they are."""
    windows = windows_of(texts)
    found = list(remove_duplicates(iter(windows), config))
    assert [getattr(item, "window", item) for item in found] == windows
    return [(i, d.reason, d.of) for i, d in enumerate(found) if isinstance(d, Duplicate)]


@settings(deadline=None, max_examples=200)
@given(short_texts)
def test_exact_duplicates_are_those_of_a_comparison_of_every_pair(texts):
    expected = []
    for i, text in enumerate(texts):
        both = {text.upper(), turned(text).upper()}
        earlier = [j for j in range(i) if texts[j].upper() in both]
        expected += [(i, "exact", earlier[0])] if earlier else []
    assert removed(texts) == expected


@settings(deadline=None, max_examples=200)
@given(like_texts, st.sampled_from([0.2, 0.5, 0.8, 1.0]))
def test_near_duplicates_are_those_of_a_comparison_of_every_pair(texts, threshold):
    """With all k-mers in the index, the sets of k-mers as strings give the same answer."""
    k, seen, kept, expected = 8, {}, [], []
    for i, text in enumerate(texts):
        both = sorted({text.upper(), turned(text).upper()})
        if both[0] in seen:
            expected.append((i, "exact", seen[both[0]], 1.0))
            continue
        seen[both[0]] = i
        own = kmers(text, k)
        shares = [(len(own & kmers(texts[j], k)) / len(own), -j) for j in kept] if own else []
        if shares and max(shares)[0] >= threshold:
            expected.append((i, "near", -max(shares)[1], max(shares)[0]))
        else:
            kept.append(i)
    found = remove_duplicates(windows_of(texts), near(containment=threshold, k=k, scale=1))
    assert [
        (i, d.reason, d.of, d.containment) for i, d in enumerate(found) if isinstance(d, Duplicate)
    ] == expected


ORIGINAL = random_dna("original", 1000)


@pytest.mark.parametrize(
    ("text", "is_near"),
    [
        (mutated(ORIGINAL, 200), True),  # 0.5 % of the bases differ: 90 % of the k-mers stay
        (turned(mutated(ORIGINAL, 200)), True),
        (mutated(ORIGINAL, 200).lower(), True),
        (mutated(ORIGINAL, 20), False),
        (ORIGINAL[100:] + random_dna("new", 100), True),  # shifted
        (ORIGINAL[400:] + random_dna("new", 400), False),
        (ORIGINAL[300:700], True),  # contained
        (random_dna("left", 700) + ORIGINAL[:300], False),
        (ORIGINAL + random_dna("more", 1000), False),  # holds it, and as much again
        (ORIGINAL[:495] + "N" * 10 + ORIGINAL[505:], True),
        ("ACGT" * 250, False),
        ("N" * 1000, False),
    ],
)
def test_what_is_near(text, is_near):
    texts = [random_dna(i, 1000) for i in range(20)] + [ORIGINAL, text]
    assert removed(texts, near()) == ([(21, "near", 20)] if is_near else [])


def test_the_first_in_order_stays_and_the_removed_are_not_compared_with():
    chain = [random_dna("chain", 1600)[start : start + 1000] for start in (0, 150, 300)]
    # Each shares 85 % with the next, but the first shares 70 % with the last.
    assert removed(chain, near()) == [(1, "near", 0)]
    assert removed(chain[1:] + chain[:1], near()) == [(1, "near", 0), (2, "near", 0)]


def test_exact_ones_alone_are_removed_by_default():
    texts = [ORIGINAL, mutated(ORIGINAL, 500), ORIGINAL.lower()]
    assert removed(texts) == [(2, "exact", 0)]
    assert removed(texts, near()) == [(1, "near", 0), (2, "exact", 0)]


@pytest.mark.parametrize("length", [256, 1000])
def test_copies_at_the_threshold_are_rarely_overlooked(length):
    """Windows of which the first 82 % come again: nearly all are found by the samples."""
    texts = []
    for i in range(300):
        text = random_dna(f"{length}-{i}", length)
        part = 20 + int(0.82 * (length - 20))
        texts += [text, text[:part] + random_dna(f"{length}-{i}-new", length - part)]
    found = removed(texts, near())
    assert len(found) >= 299
    assert {(i, of) for i, _, of in found} <= {(2 * j + 1, 2 * j) for j in range(300)}


def diverged(name, text):
    """Change 2 % of the bases, at random."""
    changed = CounterRng("diverged", name).uniform(len(text)) < 0.02
    return "".join(mutated(b, 1) if c else b for b, c in zip(text, changed, strict=True))


def test_a_copy_of_one_of_many_relatives_is_found():
    """600 windows that share half of their k-mers stay, and each of their copies goes."""
    family = [diverged(i, ORIGINAL) for i in range(600)]
    copies = [turned(mutated(text, 600, shift=300)) for text in family]
    assert removed(family + copies, near()) == [(600 + i, "near", i) for i in range(600)]


def test_all_but_the_first_of_many_near_windows_go():
    family = [ORIGINAL] + [diverged(i, ORIGINAL) for i in range(300)]
    assert removed(family, near(containment=0.4)) == [(i, "near", 0) for i in range(1, 301)]


def test_repeats_in_many_windows_do_not_hide_copies():
    """A k-mer is indexed 256 times only; a copy is found by the others."""
    repeat = random_dna("repeat", 300)
    texts = [random_dna(f"flank {i}", 700) + repeat for i in range(400)]
    assert removed([*texts, turned(mutated(texts[390], 250))], near()) == [(400, "near", 390)]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"remove": "all"}, "'exact' or 'near'"),
        ({"containment": 0}, "greater than 0"),
        ({"k": 32}, "less than or equal to 31"),
        ({"scale": 0}, "greater than or equal to 1"),
        ({"jaccard": 1}, "Extra inputs"),
    ],
)
def test_settings_that_make_no_sense(fields, message):
    with pytest.raises(ValidationError, match=message):
        DuplicateConfig(**fields)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text("ACGTn", max_size=12), min_size=1, max_size=30), st.data())
def test_letters_are_read_back(texts, data):
    with pytest.MonkeyPatch.context() as patch, LetterFile() as letters:
        patch.setattr(module, "_BUFFER_BYTES", 20)  # so that some are in the file and some wait
        for i, text in enumerate(texts):
            letters.append(text)
            number = data.draw(st.integers(0, i))
            assert letters.read(number) == texts[number].upper().encode()


def test_no_folder_for_the_letters(tmp_path):
    with pytest.raises(StateError, match="none: no temporary file can be made here: No such"):
        list(remove_duplicates([], near(), tmp_path / "none"))


def test_a_full_disk(tmp_path, small_files):
    texts = [random_dna(i, 50_000) for i in range(30)]
    small_files(600_000)
    with pytest.raises(StateError, match=r"the disk is full, .* make room, or name another folder"):
        removed_in(texts, tmp_path)


def removed_in(texts, folder):
    return list(remove_duplicates(windows_of(texts), near(), folder))
