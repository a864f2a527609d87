"""Drawn windows: evenly drawn, encoded as if by hand, a pure function of (seed, step)."""

import math
import pickle
import tracemalloc
from collections import Counter
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import chisquare

from helixlm.data.letters import open_letters, write_letters
from helixlm.errors import InputError
from helixlm.rng import CounterRng
from helixlm.tokenizers.bpe import bpe_tokenizer, row_dropout
from helixlm.tokenizers.char import book_tokenizer, char_tokenizer
from helixlm.tokenizers.kmer import nt_tokenizer
from helixlm.train import drawn as drawn_module
from helixlm.train.baselines import counting_baselines
from helixlm.train.batches import BatchConfig, Sample, Vocabulary
from helixlm.train.drawn import DrawnRows
from helixlm.train.masking import MaskingConfig
from helixlm.train.stream import TrainingStream

from .test_batches import rows_of, same
from .toy import TOY_BPE, make_pieces, make_texts

GENA = bpe_tokenizer([("A", "C"), ("G", "T")], special_order="gena-lm")
COMPLEMENT = dict(zip("ACGTNRYacgtnry", "TGCANYRtgcanyr", strict=True))


def vocabulary_of(tokenizer):
    special = tokenizer.special
    return Vocabulary(
        tokenizer.vocab_size,
        special.bos,
        special.eos,
        special.pad,
        special.mask,
        tuple(tokenizer.special_ids.tolist()),
        tokenizer.token_bp,
    )


def plan(texts, tokenizer=TOY_BPE, seed=0, **changes):
    given = {"packing": "drawn", "row_tokens": 32, "rows": 8, "drawn_bp": 40, "jitter_bp": 10}
    config = BatchConfig(**{**given, **changes})
    pieces = make_pieces(texts) if isinstance(texts, list) else texts
    return DrawnRows(pieces, config, vocabulary_of(tokenizer), tokenizer, seed)


def stream(a_plan, **changes):
    return TrainingStream(a_plan, MaskingConfig(), **{"seed": 3, "micro_rows": 4, **changes})


def other_strand(text):
    return "".join(COMPLEMENT[letter] for letter in reversed(text))


def drawn_by_hand(text, sample, drawn_bp, jitter_bp, share):
    """Start and strand from the stated key, the window by slicing."""
    rng = CounterRng("window", sample.purpose, sample.seed, sample.number)
    places = [s for s in range(jitter_bp) if s == 0 or len(text) - s >= drawn_bp]
    start = rng.integer(0, len(places))
    turned = rng.uniform(1)[0] < share
    window = text[start : start + drawn_bp]
    return other_strand(window) if turned else window


@pytest.mark.parametrize(
    "tokenizer",
    [TOY_BPE, nt_tokenizer(2, k=3), char_tokenizer(), book_tokenizer(), GENA],
    ids=["bpe", "nt", "char", "book", "gena-lm"],
)
@settings(deadline=None, max_examples=30)
@given(
    lengths=st.lists(st.integers(1, 70), min_size=1, max_size=6),
    seed=st.integers(0, 9),
    jitter_bp=st.integers(1, 20),
    share=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_a_row_is_a_slice_of_its_piece_encoded(tokenizer, lengths, seed, jitter_bp, share):
    texts = [
        "".join("ACGTacgtNnRr"[i] for i in CounterRng("piece", seed, n).integers(0, 12, length))
        for n, length in enumerate(lengths)
    ]
    size = 42 if tokenizer.kind == "char" else 24  # a token a letter just fits; others are cut
    drawing = {"jitter_bp": jitter_bp, "reverse_complement": share}
    a_plan = plan(texts, tokenizer, row_tokens=size, **drawing)
    special = tokenizer.special
    before = [] if special.bos is None else [special.bos]
    after = [] if special.eos is None else [special.eos]
    for number in range(20):
        index, sample = number % len(texts), Sample("train", seed, number)
        window = drawn_by_hand(texts[index], sample, 40, jitter_bp, share)
        if tokenizer.keeps_case:
            window = window.upper()
        tokens = tokenizer.encode(window).tolist()[: size - len(before) - len(after)]
        expected = [*before, *tokens, *after]
        row = a_plan.row(index, sample)
        assert row.ids_L.tolist() == expected + [special.pad] * (size - len(expected))
        assert row.document_L.tolist() == [1] * len(expected) + [0] * (size - len(expected))


def test_published_sizes():
    """12,200 bp give 12,000 from a start of 0 to 199, as the data card of the corpus says."""
    text = make_texts(1, low=12_200, high=12_201)[0].upper()
    tokenizer = nt_tokenizer(2)
    a_plan = plan([text], tokenizer, row_tokens=2700, drawn_bp=12_000, jitter_bp=200)
    starts = set()
    for number in range(3000):
        window = a_plan.window(0, Sample("train", 0, number))
        assert len(window) == 12_000
        starts.add(text.index(window))
    assert (min(starts), max(starts), len(starts)) == (0, 199, 200)
    long = plan([text + "ACGT" * 50], tokenizer, row_tokens=2700, drawn_bp=12_000, jitter_bp=200)
    reached = {text.index(long.window(0, Sample("train", 0, n))[:50]) for n in range(3000)}
    assert max(reached) == 199  # an insertion lengthens the piece, not the reach of the start


@pytest.fixture(scope="module")
def many_draws():
    """Start and strand of each sample of 400 epochs over 50 pieces of 230 to 240 bp."""
    texts = [text.upper() for text in make_texts(50, low=230, high=240, key="uniform")]
    a_plan = plan(texts, row_tokens=64, drawn_bp=30, jitter_bp=200, reverse_complement=0.3)
    a_stream = stream(a_plan)
    draws = np.empty((400, 50, 2), dtype=np.int64)
    for number in range(draws.shape[0] * draws.shape[1]):
        index = a_stream._row_of_sample(number)
        window = a_plan.window(index, Sample("train", 3, number))
        turned = window not in texts[index]
        start = texts[index].index(other_strand(window) if turned else window)
        draws[number // 50, index] = start, turned
    return draws


def test_starts_are_uniform(many_draws):
    starts = many_draws[..., 0].ravel()
    assert (starts.min(), starts.max()) == (0, 199)
    assert chisquare(np.bincount(starts, minlength=200)).pvalue > 0.01


def test_starts_of_a_piece_differ_by_epoch_and_independently(many_draws):
    starts = many_draws[..., 0]
    assert (starts[0] != starts[1]).sum() > 45
    pairs = (starts[:-1] // 20) * 10 + starts[1:] // 20  # a hundred equal cells
    assert chisquare(np.bincount(pairs.ravel(), minlength=100)).pvalue > 0.01
    by_piece = [chisquare(np.bincount(x // 20, minlength=10)).pvalue for x in starts.T]
    assert min(by_piece) > 0.01 / 50


def test_strands_are_drawn_with_the_given_share_whatever_the_start(many_draws):
    starts, turned = many_draws[..., 0].ravel(), many_draws[..., 1].ravel()
    both = np.bincount(2 * (starts // 20) + turned, minlength=20).reshape(10, 2)
    expected = both.sum() / 10 * np.array([0.7, 0.3])
    assert chisquare(both.ravel(), np.tile(expected, 10)).pvalue > 0.01


def test_the_share_of_the_other_strand_changes_no_start():
    texts = make_texts(30, low=50, high=70)
    plans = [plan(texts, reverse_complement=share) for share in (0.0, 0.5, 1.0)]
    turned = 0
    for number in range(60):
        sample = Sample("train", 0, number)
        forward, mixed, reverse = (a_plan.window(number % 30, sample) for a_plan in plans)
        assert reverse == other_strand(forward)
        assert mixed in (forward, reverse)
        turned += mixed == reverse
    assert 15 < turned < 45


DROPOUTS = [None, row_dropout(TOY_BPE, 0.3)]


@pytest.mark.parametrize("dropout", DROPOUTS, ids=["plain", "dropout"])
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches_are_the_same_with_any_number_of_workers(workers, dropout, tmp_path):
    texts = make_texts(60)
    write_letters(tmp_path / "letters", {"train": texts}, corpus_sha256="c" * 64)
    stored = open_letters(tmp_path / "letters").split("train")
    a_stream = stream(plan(stored, reverse_complement=0.5), dropout=dropout)
    fresh = stream(plan(texts, reverse_complement=0.5), dropout=dropout)
    loader = torch.utils.data.DataLoader(
        a_stream,
        batch_size=None,
        sampler=range(6, 12),  # through the end of the first epoch
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
    )
    for step, batch in zip(range(6, 12), loader, strict=True):
        same(batch, fresh[step])


def test_devices_and_micro_batches_share_the_same_rows():
    a_plan = plan(make_texts(50), reverse_complement=0.5)
    whole = rows_of(stream(a_plan, micro_rows=8), 5)
    for world_size, micro_rows in ((1, 2), (2, 4), (4, 1)):
        parts = [
            rows_of(stream(a_plan, micro_rows=micro_rows, rank=rank, world_size=world_size), 5)
            for rank in range(world_size)
        ]
        assert (np.concatenate(parts) == whole).all()


def test_validation_draws_for_itself_and_always_the_same():
    a_plan = plan(make_texts(16, low=50, high=70))
    train, check = stream(a_plan), stream(a_plan, purpose="validation")
    first = check[0]
    check[1], train[7]
    same(check[0], first)
    windows = [
        {a_plan.window(i, Sample(purpose, 3, i)) for i in range(16)}
        for purpose in ("train", "validation")
    ]
    assert len(windows[0] & windows[1]) < 6


def test_the_counts_of_a_step_are_those_of_what_is_shown():
    a_plan = plan(make_texts(50))
    batch = stream(a_plan)[2]
    labels = torch.cat([m.labels_M[m.labels_M >= 0] for m in batch.micro]).tolist()
    assert batch.num_masked == len(labels)
    assert batch.masked_bp == len(TOY_BPE.decode(labels))
    assert batch.num_tokens == (rows_of(stream(a_plan), 2) != TOY_BPE.special.pad).sum()


def test_dropout_encodes_the_whole_window_anew():
    texts = make_texts(40, low=50, high=70)
    a_plan = plan(texts, row_tokens=64)
    longer = 0
    for number in range(40):
        sample = Sample("train", 0, number)
        plain, dropped = (a_plan.row(number, sample, dropout).ids_L for dropout in DROPOUTS)
        window = a_plan.window(number, sample).upper().replace("R", "N")
        assert TOY_BPE.decode(plain) == TOY_BPE.decode(dropped) == window
        longer += (dropped != TOY_BPE.special.pad).sum() > (plain != TOY_BPE.special.pad).sum()
    assert longer > 30


def test_what_is_counted_is_a_window_of_each_piece(monkeypatch, caplog):
    texts = make_texts(40)
    a_plan = plan(texts, seed=7)
    windows = [
        drawn_by_hand(text, Sample("count", 7, piece), 40, 10, 0.0)
        for piece, text in enumerate(texts)
    ]
    encoded = [TOY_BPE.encode(window) for window in windows]
    assert max(map(len, encoded)) > 30  # some are longer than a row
    with caplog.at_level("WARNING"):
        found = a_plan.counted()
    lost = sum(max(0, len(tokens) - 30) for tokens in encoded)
    share = 100 * lost / sum(map(len, encoded))
    assert f"{share:.2f} % of the tokens of drawn windows are behind the end" in caplog.text
    cut = [tokens[:30].tolist() for tokens in encoded]
    ends = np.cumsum([len(tokens) for tokens in cut])
    assert found.ends.tolist() == ends.tolist()
    assert [
        found.tokens(end - n, end).tolist() for n, end in zip(found.lengths, ends, strict=True)
    ] == cut
    counts = found.count_tokens(17)
    assert {i: n for i, n in enumerate(counts.tolist()) if n} == Counter(chain(*cut))
    monkeypatch.setattr(drawn_module, "MAX_TOKENS", 40 * 30 // 3)
    assert a_plan.counted().tokens(0, 10**9).tolist() == list(chain(*cut[::3]))


def test_the_unigram_baseline_is_that_of_the_windows_counted():
    masking = MaskingConfig(mask_share=1.0, random_share=0.0)
    a_plan = plan(make_texts(200, low=50, high=70))
    check = plan(make_texts(16, low=50, high=70, key="check"), rows=4)
    batches = [
        TrainingStream(check, masking, seed=1, micro_rows=4, purpose="validation")[step]
        for step in range(4)
    ]
    found = counting_baselines(
        a_plan.counted(), batches, vocabulary=a_plan.vocabulary, masking=masking
    )
    counts = a_plan.counted().count_tokens(17)
    counts[:5] = 0  # <unk> is never asked for
    p = (counts + 1) / (counts.sum() + 12)
    labels = [x for b in batches for m in b.micro for x in m.labels_M.tolist() if x >= 0]
    expected = -sum(math.log(p[label]) for label in labels) / len(labels)
    assert found.unigram.loss == pytest.approx(expected, rel=1e-9)


def test_memory_does_not_grow_with_the_corpus(tmp_path):
    peaks, sizes = [], []
    for count in (100, 3000):
        folder = tmp_path / str(count)
        text = make_texts(1, low=12_200, high=12_201)[0]
        write_letters(folder, {"train": (text for _ in range(count))}, corpus_sha256="c" * 64)
        changes = {"row_tokens": 9000, "drawn_bp": 12_000, "jitter_bp": 200}
        stored = open_letters(folder).split("train")
        a_stream = stream(plan(stored, **changes), micro_rows=1)
        a_stream[0]
        tracemalloc.start()
        for step in range(1, 6):
            a_stream[step]
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        sizes.append(len(pickle.dumps(plan(stored, **changes))))
    assert peaks[1] < 1.2 * peaks[0]  # 1.2 MB and 36.6 MB of letters
    assert sizes[1] < sizes[0] + 200


def test_windows_that_can_fit_into_no_row_are_refused():
    message = (
        r"batches.row_tokens 32 holds 31 tokens of at most 6 bp besides 1 special one\(s\), "
        r"expected room for drawn windows of 200 bp: set batches.row_tokens to at least 35, or "
        r"batches.drawn_bp to at most 186"
    )
    texts = make_texts(3, low=300, high=310)
    with pytest.raises(InputError, match=message):
        plan(texts, nt_tokenizer(2), drawn_bp=200)
    plan(texts, nt_tokenizer(2), drawn_bp=200, row_tokens=35)
    plan(texts, nt_tokenizer(2), drawn_bp=186)
    plan([text[:186] for text in texts], nt_tokenizer(2), drawn_bp=200)  # no window has more


def test_pieces_that_leave_little_to_draw_are_told(caplog):
    with caplog.at_level("INFO"):
        plan(["A" * 49] * 3)
    assert not caplog.text
    with caplog.at_level("INFO"):
        plan(["A" * 48, "A" * 49])
    assert "1 of 2 pieces are shorter than the 49 bp that" in caplog.text
    assert "WARNING" not in caplog.text
    plan(["A" * 40] * 2)
    assert "the longest of 2 pieces has 40 bp, not over batches.drawn_bp 40: each is" in caplog.text


def test_settings_that_do_not_go_together_are_refused():
    with pytest.raises(ValidationError, match=r"reverse_complement 0.5 turns windows .*'documents"):
        BatchConfig(reverse_complement=0.5)
    for name in ("drawn_bp", "jitter_bp"):
        with pytest.raises(ValidationError, match=f"{name}\n.*greater than or equal to 1"):
            BatchConfig(packing="drawn", **{name: 0})
