"""Byte-pair encoding against its slow definition, worked examples and round trips."""

import itertools
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.tokenizers import library
from helixlm.tokenizers.base import SPECIAL_ORDERS, TokenizerError
from helixlm.tokenizers.bpe import BpeTokenizer, bpe_tokenizer
from helixlm.tokenizers.hf import load_tokenizer

# A C G T with their lower case often, then N, gaps, IUPAC, line ends and letters beyond ASCII.
DNA = st.text(st.sampled_from("ACGTACGTACGTacgtNnRYSWKMBDHVU-* \n\té中"), max_size=60)
MERGES = [("A", "C"), ("G", "T"), ("AC", "GT"), ("T", "A"), ("A", "A"), ("AA", "A"), ("A", "AA")]


def slow_encode(sequence, merges, tokens):
    """The definition: as long as a known pair is there, merge the one learned first, leftmost."""
    rank = {pair: i for i, pair in reversed(list(enumerate(merges)))}
    id_of = {token: i for i, token in enumerate(tokens)}
    parts = [letter.upper() if letter in "acgt" else letter for letter in sequence]
    while True:
        pairs = [
            (rank[pair], i) for i, pair in enumerate(itertools.pairwise(parts)) if pair in rank
        ]
        if not pairs:
            return [id_of.get(part, id_of["<unk>"]) for part in parts]
        _, i = min(pairs)
        parts[i : i + 2] = [parts[i] + parts[i + 1]]


def upper(sequence):
    """Upper case with N for what is not a base."""
    return "".join(
        c if c in "ACGT" else "N" for c in sequence.translate(str.maketrans("acgt", "ACGT"))
    )


@settings(deadline=None, max_examples=200)
@given(sequence=DNA)
def test_ids_follow_the_definition(bpe, sequence):
    assert bpe.encode(sequence).tolist() == slow_encode(sequence, bpe.merges, bpe.tokens)


@settings(deadline=None, max_examples=100)
@given(sequence=st.text("ACGTN", max_size=40), count=st.integers(0, len(MERGES)))
def test_ids_follow_the_definition_where_two_merges_spell_the_same(sequence, count):
    small = bpe_tokenizer(MERGES[:count])
    assert small.encode(sequence).tolist() == slow_encode(sequence, MERGES[:count], small.tokens)


def test_a_worked_example():
    small = bpe_tokenizer(MERGES)
    special = list(SPECIAL_ORDERS["roberta"])
    # AA + A and A + AA spell the same token, which has one id.
    assert small.tokens == [*special, *"ACGT", "AC", "GT", "ACGT", "TA", "AA", "AAA"]
    assert small.encode("ACGTNacgtaR").tolist() == [11, 3, 11, 5, 3]
    assert small.encode("ACGTNacgtaR").dtype == np.int32
    assert small.merges == MERGES
    assert small.token_bp.tolist() == [0, 0, 0, 1, 0, 1, 1, 1, 1, 2, 2, 4, 2, 2, 3]


@pytest.mark.parametrize(
    ("order", "ids"),
    [("roberta", (0, 2, 3, 1, 4)), ("published", (0, 1, 2, 3, 4))],
)
def test_special_tokens_have_the_ids_of_their_order(order, ids):
    small = bpe_tokenizer(MERGES, special_order=order)
    assert small.special == ids  # bos, eos, unk, pad, mask
    assert small.special_ids.tolist() == [0, 1, 2, 3, 4]
    unk, eos = ids[2], ids[1]
    assert small.add_special(small.encode("AN")).tolist() == [0, 5, unk, eos]
    assert small.add_special([]).tolist() == [0, eos]


@settings(deadline=None, max_examples=200)
@given(sequence=DNA)
def test_tokens_cover_the_sequence_and_spell_it(bpe, sequence):
    ids, starts, ends = bpe.encode_with_offsets(sequence)
    assert ids.tolist() == bpe.encode(sequence).tolist()
    assert [starts.dtype, ends.dtype] == [np.int64, np.int64]
    edges = [0, *ends.tolist()]
    assert starts.tolist() == edges[:-1]
    assert edges[-1] == len(sequence)
    assert (ends - starts).tolist() == bpe.token_bp[ids].tolist()
    spelled = upper(sequence)
    for id_, start, end in zip(ids, starts, ends, strict=True):
        assert bpe.decode([id_]) == spelled[start:end]
    assert bpe.decode(bpe.add_special(ids)) == spelled


@settings(deadline=None, max_examples=100)
@given(sequences=st.lists(DNA | st.just("AC<mask>gT</s>"), max_size=12), slice_=st.integers(1, 50))
def test_a_batch_gives_what_each_sequence_gives_alone(bpe, sequences, slice_):
    alone = [bpe.encode(sequence).tolist() for sequence in sequences]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "BATCH_LETTERS", slice_)
        batch = bpe.encode_batch(sequences)
    assert [ids.tolist() for ids in batch] == alone
    assert all(ids.dtype == np.int32 for ids in batch)


def test_no_merge_crosses_an_unknown_letter(bpe):
    left, right = "TATAAATATA", "GATTACAGG"
    apart = [*bpe.encode(left), bpe.special.unk, *bpe.encode(right)]
    assert bpe.encode(f"{left}N{right}").tolist() == apart
    assert bpe.encode("NNNRy").tolist() == [bpe.special.unk] * 5


def test_the_text_of_a_special_token_is_that_token(bpe):
    ids, starts, ends = bpe.encode_with_offsets("acg<mask>NT<unk>")
    expected = [*bpe.encode("ACG"), 4, 3, *bpe.encode("T"), 3]
    assert ids.tolist() == expected
    assert starts.tolist()[-4:] == [3, 9, 10, 11]
    assert ends.tolist()[-4:] == [9, 10, 11, 16]
    assert bpe.decode(ids) == "ACGNTN"


def test_a_long_line_is_one_word(bpe, lines):
    line = "".join(lines)[:700]
    assert bpe.encode(line).tolist() == slow_encode(line, bpe.merges, bpe.tokens)
    chromosome = "".join(lines) * 20
    assert bpe.decode(bpe.encode(chromosome)) == chromosome


@pytest.mark.parametrize("bad", [-1, 80])
def test_an_id_outside_the_vocabulary_is_named(bpe, bad):
    with pytest.raises(TokenizerError, match=f"token id {bad} at position 1 is not in .* 0 to 79"):
        bpe.decode([5, bad, 6])


def test_properties_are_copies(bpe):
    bpe.tokens.clear()
    bpe.token_bp[:] = 9
    bpe.special_ids[:] = 9
    assert len(bpe.tokens) == bpe.vocab_size == 80
    assert bpe.token_bp[:6].tolist() == [0, 0, 0, 1, 0, 1]
    assert bpe.special_ids.tolist() == [0, 1, 2, 3, 4]
    assert bpe.max_tokens == 512
    assert not bpe.keeps_case
    assert "vocab_size=80" in repr(bpe)


def test_pickle_keeps_everything(bpe):
    again = pickle.loads(pickle.dumps(bpe))
    assert again.sha256 == bpe.sha256
    assert again.encode("ACGTNacgt<mask>").tolist() == bpe.encode("ACGTNacgt<mask>").tolist()


def test_dropout_is_refused():
    content = json.loads(bpe_tokenizer(MERGES)._text)
    content["model"]["dropout"] = 0.1
    with pytest.raises(TokenizerError, match="here: the model leaves merges out at random"):
        BpeTokenizer(json.dumps(content), source="here")


def test_old_spelling_of_merges_is_read(tmp_path):
    content = json.loads(bpe_tokenizer(MERGES)._text)
    content["model"]["merges"] = [" ".join(pair) for pair in content["model"]["merges"]]
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content))
    assert load_tokenizer(path).merges == MERGES


def test_forked_workers_encode_without_a_word(bpe, tmp_path):
    """A DataLoader worker is a fork of a process whose library threads have already run."""
    bpe.save(tmp_path)
    script = (
        "import os, sys\n"
        "from helixlm.tokenizers.hf import load_tokenizer\n"
        f"tokenizer = load_tokenizer({str(tmp_path)!r})\n"
        "batch = ['ACGTTGCA' * 50] * 500\n"
        "expected = [x.tolist() for x in tokenizer.encode_batch(batch)]\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    same = [x.tolist() for x in tokenizer.encode_batch(batch)] == expected\n"
        "    os._exit(0 if same else 1)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
