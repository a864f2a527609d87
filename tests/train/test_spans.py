"""Runs and spans: how much they hide, that nothing hidden can be read, and DNABERT's own way."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import chisquare

from helixlm.errors import InputError
from helixlm.pipeline.stages import vocabulary_of
from helixlm.rng import CounterRng
from helixlm.tokenizers.kmer_overlapping import dnabert_tokenizer
from helixlm.train.batches import Vocabulary
from helixlm.train.masking import Masker, MaskingConfig, masked_share
from helixlm.train.slots import fill_slots
from helixlm.train.spans import (
    count_variance,
    coverage,
    geometric_survival,
    number_runs,
    run_survival,
    start_rate,
    uniform_survival,
)

DNABERT = {k: dnabert_tokenizer(k) for k in range(3, 7)}
VOCABULARY = {k: vocabulary_of(tokenizer) for k, tokenizer in DNABERT.items()}
SIDE_BY_SIDE = Vocabulary(25, 0, 2, 1, 4, (0, 1, 2, 3, 4), np.ones(25, np.int32))
PAD, UNK, CLS, SEP, MASK = range(5)

# FACTS of the published script: offsets of a run around its centre.
MASK_LIST = {3: [-1, 1], 4: [-1, 1, 2], 5: [-2, -1, 1, 2], 6: [-2, -1, 1, 2, 3]}
PUBLISHED_RATES = {  # centre rates that hide exactly 15 % and 20 %
    3: (0.05273, 0.07168),
    4: (0.03982, 0.05426),
    5: (0.03198, 0.04365),
    6: (0.02672, 0.03651),
}
KINDS = {
    "independent": {"allow_leaks": True},
    "contiguous": {"kind": "contiguous"},
    "centres": {"kind": "contiguous", "rate_of": "centres"},
    "geometric": {"kind": "spans"},
    "uniform": {"kind": "spans", "span_lengths": "uniform", "span_max": 4},
}


def letters(key, length, unknown=0):
    return "".join("ACGTN"[i] for i in CounterRng("dna", key).choice([25] * 4 + [unknown], length))


def row_of(texts, k, row_tokens):
    """Documents side by side: ids, the number of the document, and the text of each."""
    ids = np.full(row_tokens, PAD, np.int64)
    document = np.zeros(row_tokens, np.int32)
    at = 0
    for number, text in enumerate(texts, start=1):
        words = [CLS, *DNABERT[k].encode(text).tolist(), SEP]
        ids[at : at + len(words)] = words
        document[at : at + len(words)] = number
        at += len(words)
    return ids, document


def masker_of(vocabulary, **config):
    return Masker(MaskingConfig(**config), vocabulary)


@pytest.mark.parametrize("k", [3, 4, 5, 6])
@pytest.mark.parametrize("rate", [0.15, 0.2])
def test_coverage_is_the_wanted_rate_everywhere(k, rate):
    """Within statistical error, also at the edges of documents, which are one tenth here."""
    masker = masker_of(VOCABULARY[k], kind="contiguous", rate=rate)
    texts = [letters(n, length) for n, length in enumerate((3 * k, 200, 40, 120))]
    ids, document = row_of(texts, k, 400)
    maskable = ids > MASK
    edge = maskable & (np.roll(ids, 1) == CLS) | maskable & (np.roll(ids, -1) == SEP)
    counts = np.zeros((2, 3000))
    for draw in range(counts.shape[1]):
        hidden = np.zeros(len(ids), bool)
        row = masker.mask(ids, CounterRng("draw", k, draw), rate=rate, document_L=document)
        hidden[row.hidden_K] = True
        counts[:, draw] = hidden[maskable].mean(), hidden[edge].mean()
    error = counts.std(1) / math.sqrt(counts.shape[1])
    assert (abs(counts.mean(1) - rate) < 4 * error).all()
    assert error[0] < 0.002


@pytest.mark.parametrize("k", [3, 4, 5, 6])
def test_the_rates_of_centres_are_those_worked_out_for_the_published_script(k):
    for rate, published in zip((0.15, 0.2), PUBLISHED_RATES[k], strict=True):
        assert round(start_rate(run_survival(k), rate), 5) == published
        config = MaskingConfig(kind="contiguous", rate_of="centres", rate=published)
        assert masked_share(config, k - 1) == pytest.approx(rate, abs=2e-5)


def test_the_published_command_hides_a_seventh():
    config = MaskingConfig(kind="contiguous", rate_of="centres", rate=0.025)
    assert masked_share(config, 5) == pytest.approx(0.141, abs=5e-4)
    masker = Masker(config, VOCABULARY[6])
    ids, document = row_of([letters(0, 3000)], 6, 3000)
    found = [
        len(masker.mask(ids, CounterRng(n), rate=0.025, document_L=document).hidden_K)
        for n in range(300)
    ]
    assert np.mean(found) / 2995 == pytest.approx(0.141, abs=0.003)


def readable_tokens(texts, ids, row, k):
    """Hidden words, not shown as they are, that can be spelled from words that show the truth.

    These are the words that are not hidden, and those that are shown unchanged.
    """
    hidden = set(row.hidden_K.tolist())
    told = {at for at in hidden if row.shown_L[at] == ids[at]}
    found, first = [], 0
    for text in texts:
        words = range(first + 1, first + 1 + len(text) - k + 1)
        first += len(text) - k + 3
        read = np.zeros(len(text), bool)
        for base, at in enumerate(words):
            if ids[at] != UNK and (at not in hidden or at in told):
                read[base : base + k] = True
        found += [
            at
            for base, at in enumerate(words)
            if at in hidden - told and read[base : base + k].all()
        ]
    return found


@pytest.mark.parametrize("k", [3, 4, 5, 6])
@pytest.mark.parametrize("kind", ["contiguous", "centres", "geometric", "uniform"])
@settings(deadline=None, max_examples=25)
@given(
    key=st.integers(0, 10**6),
    lengths=st.lists(st.integers(8, 60), min_size=1, max_size=4),
    rate=st.sampled_from([0.05, 0.15, 0.5]),
    unknown=st.sampled_from([0, 5]),
)
def test_nothing_hidden_can_be_read_from_words_that_are_shown(k, kind, key, lengths, rate, unknown):
    texts = [letters(key + n, length, unknown) for n, length in enumerate(lengths)]
    ids, document = row_of(texts, k, 280)
    # A random word that is the true one by chance would look like one shown unchanged.
    masker = masker_of(VOCABULARY[k], **KINDS[kind], rate=rate, random_tokens="other")
    row = masker.mask(ids, CounterRng("leak", key), rate=rate, document_L=document)
    assert readable_tokens(texts, ids, row, k) == []
    # A run is shown as masks, as random words, or as it is; not as a mixture.
    shown = row.shown_L[row.hidden_K]
    masks = np.bincount(number_runs(row.hidden_K), shown == MASK) if len(shown) else np.zeros(0)
    assert np.isin(masks, [0, *np.bincount(number_runs(row.hidden_K))]).all()


@pytest.mark.parametrize("config", [KINDS["independent"], {"published_quirks": True}])
def test_words_hidden_one_by_one_and_published_runs_can_be_read(config):
    config = {"kind": "contiguous", **config} if "published_quirks" in config else config
    text = letters(1, 500)
    ids, document = row_of([text], 6, 500)
    masker = masker_of(VOCABULARY[6], **config)
    row = masker.mask(ids, CounterRng(1), rate=0.15, document_L=document)
    assert len(readable_tokens([text], ids, row, 6)) > len(row.hidden_K) / 10


def published_mask_tokens(ids, centres, k):
    """`mask_tokens` of examples/run_pretrain.py, after its description; the centres are given."""
    probability = np.where(np.isin(ids, [CLS, SEP, PAD]), 0.0, 1.0)
    masked = set(centres)
    end = int(np.flatnonzero(probability)[-1])
    for centre in centres:
        for offset in MASK_LIST[k]:
            j = centre + offset
            if 1 <= j <= end:
                masked.add(j)
    return sorted(masked)


@pytest.mark.parametrize("k", [3, 4, 5, 6])
@settings(deadline=None, max_examples=40)
@given(
    key=st.integers(0, 10**6),
    lengths=st.lists(st.integers(8, 60), min_size=1, max_size=4),
    rate=st.sampled_from([0.025, 0.1, 0.6]),
)
def test_with_the_quirks_the_masked_positions_are_those_of_the_published_script(
    k, key, lengths, rate
):
    texts = [letters(key + n, length, 3) for n, length in enumerate(lengths)]
    ids, document = row_of(texts, k, 280)
    config = {"kind": "contiguous", "rate_of": "centres", "published_quirks": True}
    masker = masker_of(VOCABULARY[k], rate=rate, **config)
    row = masker.mask(ids, CounterRng("same", key), rate=rate, document_L=document)
    drawn = CounterRng("same", key).uniform(len(ids)) < rate
    centres = np.flatnonzero(drawn & ~np.isin(ids, [CLS, SEP, PAD])).tolist()
    assert row.hidden_K.tolist() == published_mask_tokens(ids, centres, k)


def test_the_quirks_show_runs_in_part_take_special_tokens_and_hide_separators():
    ids, document = row_of([letters(n, 40) for n in range(10)], 6, 400)
    config = {"kind": "contiguous", "rate_of": "centres", "published_quirks": True}
    masker = masker_of(VOCABULARY[3]._replace(overlap_bp=5), rate=0.3, **config)
    rows = [masker.mask(ids % 69, CounterRng(n), rate=0.3, document_L=document) for n in range(200)]
    shown = np.concatenate([row.shown_L[row.hidden_K] for row in rows])
    true = np.concatenate([(ids % 69)[row.hidden_K] for row in rows])
    assert (true == SEP).any()
    assert (true == CLS).any()
    assert np.isin(shown[true > MASK], [PAD, UNK, CLS, SEP]).any()
    mixed = 0
    for row in rows:
        runs = number_runs(row.hidden_K)
        masks = np.bincount(runs, row.shown_L[row.hidden_K] == MASK)
        mixed += ((masks > 0) & (masks < np.bincount(runs))).sum()
    assert mixed > 100


@settings(deadline=None, max_examples=80)
@given(
    kind=st.sampled_from([*KINDS, "side by side"]),
    key=st.integers(0, 10**6),
    size=st.integers(1, 120),
    rate=st.sampled_from([0.02, 0.15, 0.9]),
    others=st.booleans(),
)
def test_masks_never_touch_special_tokens_and_are_a_function_of_the_key(
    kind, key, size, rate, others
):
    if kind == "side by side":
        vocabulary, config = SIDE_BY_SIDE, {"kind": "spans"}
    else:
        vocabulary, config = VOCABULARY[3], KINDS[kind]
    ids = CounterRng("ids", key).integers(0, 25, size)
    document = np.sort(CounterRng("documents", key).integers(0, 3, size)).astype(np.int32)
    settings_ = {**config, "rate": rate, "random_tokens": "other" if others else "any"}
    masker = masker_of(vocabulary, **settings_)
    row = masker.mask(ids, CounterRng("row", key), rate=rate, document_L=document)
    again = masker_of(vocabulary, **settings_).mask(
        ids, CounterRng("row", key), rate=rate, document_L=document
    )
    assert (row.shown_L == again.shown_L).all()
    assert (row.hidden_K == again.hidden_K).all()
    assert (np.diff(row.hidden_K) > 0).all()
    assert (ids[row.hidden_K] > MASK).all()
    assert (row.shown_L[row.hidden_K] >= MASK).all()
    rest = np.delete(np.arange(size), row.hidden_K)
    assert (row.shown_L[rest] == ids[rest]).all()
    slots = fill_slots(ids[None], [row.hidden_K], 128)
    assert slots.labels_M[: len(row.hidden_K)].tolist() == ids[row.hidden_K].tolist()
    assert (slots.labels_M[len(row.hidden_K) :] == -100).all()


def test_random_tokens_that_are_never_the_true_one_are_uniform_over_the_others():
    ids = np.full(200_000, 7)
    shares = {"mask_share": 0.0, "random_share": 1.0, "random_tokens": "other"}
    row = masker_of(SIDE_BY_SIDE, **shares).mask(ids, CounterRng("other"), rate=0.15)
    counts = np.bincount(row.shown_L[row.hidden_K], minlength=25)
    assert (counts[[0, 1, 2, 3, 4, 7]] == 0).all()
    assert chisquare(np.delete(counts[5:], 2)).pvalue > 0.001


@pytest.mark.parametrize("overlap", [0, 2])
@pytest.mark.parametrize(
    ("config", "lengths"),
    [
        ({"span_mean": 3.8, "span_max": 10}, None),
        ({"span_lengths": "uniform", "span_max": 6}, np.full(6, 1 / 6)),
    ],
)
def test_lengths_of_spans_are_drawn_as_told(config, lengths, overlap):
    """At a rate at which spans hardly meet; where words overlap, spans are longer by that."""
    vocabulary = SIDE_BY_SIDE._replace(overlap_bp=overlap)
    masker = masker_of(vocabulary, kind="spans", rate=0.002, **config)
    ids = np.full(300_000, 7)
    rows = [masker.mask(ids, CounterRng("lengths", n), rate=0.002).hidden_K for n in range(10)]
    found = np.concatenate([np.bincount(number_runs(hidden)) for hidden in rows]) - overlap
    if lengths is None:  # SpanBERT: p (1 - p)^(l - 1) for l up to 10, p = 0.2, scaled to 1
        lengths = 0.8 ** np.arange(10.0)
        lengths /= lengths.sum()
        assert lengths @ np.arange(1, 11) == pytest.approx(3.8, abs=0.005)
    counts = np.bincount(found, minlength=len(lengths) + 1)[1 : len(lengths) + 1]
    assert counts.sum() > 0.98 * len(found)  # the rest met another
    expected = counts.sum() * lengths
    assert (abs(counts - expected) < 5 * np.sqrt(expected) + 0.02 * counts.sum()).all()
    share = np.array([len(hidden) for hidden in rows]) / len(ids)
    assert share.mean() == pytest.approx(0.002, abs=4 * share.std() / math.sqrt(len(rows) - 1))


@pytest.mark.parametrize(
    "survival",
    [run_survival(1), run_survival(4), uniform_survival(5), geometric_survival(2.5, 7)],
    ids=["one", "run", "uniform", "geometric"],
)
def test_share_and_variance_are_those_of_the_definition(survival):
    """P(both shown), by going through every start that could reach one of two tokens."""
    start = start_rate(survival, 0.3)
    assert coverage(survival, start) == pytest.approx(0.3, abs=1e-12)
    longer = lambda m: survival[m] if m < len(survival) else 0.0  # noqa: E731
    shown, reach = 0.7, len(survival)
    variance = shown * (1 - shown)
    for distance in range(1, reach + 2):
        both = 1.0
        for first in range(-reach, distance + 1):
            if first <= 0:
                hits = longer(-first)  # whatever reaches the second passes over the first
            else:
                hits = longer(distance - first)
            both *= 1 - start * hits
        variance += 2 * (both - shown**2)
    assert count_variance(survival, start) == pytest.approx(variance, abs=1e-12)


@pytest.mark.parametrize("kind", ["contiguous", "centres", "geometric"])
def test_slots_are_hardly_ever_too_few(kind):
    rate = 0.03 if kind == "centres" else 0.15
    masker = masker_of(VOCABULARY[6], **{**KINDS[kind], "rate": rate})
    ids, document = row_of([letters(0, 507)], 6, 512)
    found = [
        len(masker.mask(ids, CounterRng(n), rate=rate, document_L=document).hidden_K)
        for n in range(2000)
    ]
    room = masker.num_slots(512, rate)
    assert max(found) < room < 4 * np.mean(found)


def test_rates_change_at_their_steps():
    changes = [{"from_step": 100_000, "rate": 0.2}, {"from_step": 110_000, "rate": 0.25}]
    config = MaskingConfig(kind="contiguous", rate_changes=changes)
    steps = (0, 99_999, 100_000, 109_999, 110_000, 10**9)
    assert [config.rate_at(step) for step in steps] == [0.15, 0.15, 0.2, 0.2, 0.25, 0.25]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"span_max": 20}, "span_max 20 is a setting of kind 'spans', and kind is 'independent'"),
        (
            {"kind": "spans", "rate_of": "centres"},
            "rate_of 'centres' is a setting of kind 'contiguous', and kind is 'spans'",
        ),
        (
            {"kind": "contiguous", "published_quirks": True, "random_tokens": "other"},
            "published_quirks draws random tokens from all",
        ),
        ({"kind": "spans", "span_mean": 6}, r"span_mean 6.0 is not below 5.5, the mean of uniform"),
        (
            {"rate_changes": [{"from_step": 5, "rate": 0.2}, {"from_step": 5, "rate": 0.3}]},
            r"rate_changes from steps \[5, 5\]: expected each later than the one before",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(config, message):
    with pytest.raises(ValidationError, match=message):
        MaskingConfig(**config)


def test_kinds_that_do_not_go_with_the_tokens_are_refused():
    with pytest.raises(InputError, match=r"overlap by 5 bases.*'contiguous' or 'spans'"):
        masker_of(VOCABULARY[6])
    with pytest.raises(InputError, match="runs of words that overlap, and those of this tokenizer"):
        masker_of(SIDE_BY_SIDE, kind="contiguous")
