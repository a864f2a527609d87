"""k-mers against the published vocabularies, the published rules, and transformers."""

import hashlib
import itertools
import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import BertTokenizer, EsmTokenizer

from helixlm.tokenizers.base import TokenizerError, in_its_case
from helixlm.tokenizers.bpe import bpe_tokenizer
from helixlm.tokenizers.hf import load_tokenizer
from helixlm.tokenizers.kmer import KmerTokenizer, nt_tokenizer, nt_vocabulary
from helixlm.tokenizers.kmer_overlapping import (
    OverlappingKmerTokenizer,
    dnabert_tokenizer,
    dnabert_vocabulary,
    get_kmer_sentence,
    seq2kmer,
)

# sha256 of the published vocab.txt, one entry a line.
DNABERT_SHA256 = {
    3: "868b0b1ca9c6dfe72771d7c98b406c21ab712d70b0df65216a19868149934b7d",
    4: "a78f8d49dfd18288b2838dacb207dc71932c078f1c5083df2c4465658ae39c34",
    5: "3d422649f2193de4cb8af321b42dd5b4a98151138ad68653649638fa5aa91101",
    6: "d8f61c247fc10f9b8c7f6baf4d31876f30076d4aaf9f31ff47b9e68badd62e61",
}
NT_V2_SHA256 = "c00e0ad166d6ab3f7540ebc92270392e581bb3106763412f29034b49323e1052"

DNA = st.text("ACGTN", max_size=60)
SOME = st.sampled_from(["ACGTACGT", "acgtacgt", "AAAAAAA", "<mask>", "[MASK]", "[UNK]", "<bos>"])
ANY = st.lists(
    st.text(st.sampled_from("ACGTacgtNnRY-*<[]> \n\t\x1c\x85é中\x00"), max_size=25) | SOME,
    max_size=5,
).map("".join)


def sha256(lines, end):
    return hashlib.sha256(("\n".join(lines) + end).encode()).hexdigest()


@pytest.fixture(scope="module")
def dnabert():
    return {k: dnabert_tokenizer(k) for k in (3, 4, 5, 6)}


@pytest.fixture(scope="module")
def nt():
    return {1: nt_tokenizer(1, max_tokens=1000), 2: nt_tokenizer(2, max_tokens=2048)}


# Vocabularies


@pytest.mark.parametrize("k", [3, 4, 5, 6])
def test_dnabert_has_the_published_vocabulary(dnabert, k):
    # The published file of k = 6 alone ends with an empty line.
    assert sha256(dnabert_vocabulary(k), "\n" if k == 6 else "") == DNABERT_SHA256[k]
    assert dnabert[k].tokens == dnabert_vocabulary(k)
    assert dnabert[k].vocab_size == {3: 69, 4: 261, 5: 1029, 6: 4101}[k]
    assert dnabert[k].special == (2, 3, 1, 0, 4)  # bos, eos, unk, pad, mask
    assert dnabert[k].special_ids.tolist() == [0, 1, 2, 3, 4]
    assert dnabert[k].token_bp.tolist() == [0, k, 0, 0, 0] + [k] * 4**k
    assert dnabert[k].overlap_bp == k - 1
    assert (dnabert[k].kind, dnabert[k].max_tokens, dnabert[k].keeps_case) == ("kmer", 512, True)


def test_nucleotide_transformer_has_the_published_vocabularies(nt):
    assert sha256(nt_vocabulary(2), "") == NT_V2_SHA256
    second, first = nt[2].tokens, nt[1].tokens
    assert (len(first), len(second)) == (4107, 4107)
    assert second[:6] == ["<unk>", "<pad>", "<mask>", "<cls>", "<eos>", "<bos>"]
    assert (second[6], second[4101], second[4102:]) == ("AAAAAA", "GGGGGG", list("ATCGN"))
    assert first[:4] == second[:4]
    assert (first[4], first[4099], first[4100:4105]) == ("AAAAAA", "GGGGGG", list("ATCGN"))
    assert first[4105:] == ["<eos>", "<bos>"]
    assert nt[2].special == nt[1].special == (3, None, 0, 1, 2)
    assert nt[2].special_ids.tolist() == [0, 1, 2, 3, 4, 5]
    assert nt[1].special_ids.tolist() == [0, 1, 2, 3, 4105, 4106]
    assert nt[2].token_bp.tolist() == [1, 0, 0, 0, 0, 0] + [6] * 4096 + [1] * 5
    assert (nt[2].overlap_bp, nt[2].keeps_case, nt[1].max_tokens) == (0, True, 1000)


# Words and ids


def test_the_two_published_functions_differ_by_the_last_word():
    assert seq2kmer("ACGTAC", 6) == ["ACGTAC"]
    assert get_kmer_sentence("ACGTAC", 6) == []
    assert seq2kmer("ACGTACG", 6) == ["ACGTAC", "CGTACG"]
    assert get_kmer_sentence("ACGTACG", 6) == ["ACGTAC"]
    assert seq2kmer("AC", 3) == get_kmer_sentence("AC", 3) == get_kmer_sentence("", 3) == []


@pytest.mark.parametrize("k", [3, 6])
@settings(deadline=None, max_examples=150)
@given(sequence=st.text("ACGTacgtNR中", max_size=40))
@example(sequence="")
@example(sequence="ACGTACG")
def test_overlapping_ids_are_those_of_the_words(dnabert, k, sequence):
    vocabulary = {word: i for i, word in enumerate(dnabert_vocabulary(k))}
    ids, starts, ends = dnabert[k].encode_with_offsets(sequence)
    assert ids.tolist() == [vocabulary.get(word, 1) for word in seq2kmer(sequence, k)]
    assert ids.tolist() == dnabert[k].encode(sequence).tolist()
    assert starts.tolist() == list(range(len(ids)))
    assert ends.tolist() == [start + k for start in starts.tolist()]
    assert [ids.dtype, starts.dtype, ends.dtype] == [np.int32, np.int64, np.int64]


@pytest.mark.parametrize("k", [3, 6])
@settings(deadline=None, max_examples=100)
@given(sequence=st.text("ACGTacgtNR", min_size=1, max_size=40))
def test_dnabert_ids_are_those_of_transformers_for_its_own_text(dnabert, bert, k, sequence):
    spaced = " ".join(seq2kmer(sequence, k))
    expected = bert[k](spaced)["input_ids"]
    assert dnabert[k].add_special(dnabert[k].encode(sequence)).tolist() == expected
    assert dnabert[k].encode(spaced + " ").tolist() == expected[1:-1]  # spaced words as they are


@pytest.fixture(scope="module")
def bert():
    """DNABERT's tokenizer as transformers builds it from vocab.txt, with do_lower_case False."""
    return {
        k: BertTokenizer(
            vocab={word: i for i, word in enumerate(dnabert_vocabulary(k))}, do_lower_case=False
        )
        for k in (3, 6)
    }


def slow_nt(sequence):
    """Split at N; six by six from the left; what remains letter by letter."""
    for piece in re.split("(N)", sequence):
        whole = len(piece) // 6 * 6
        yield from (piece[at : at + 6] for at in range(0, whole, 6))
        yield from piece[whole:]


@pytest.mark.parametrize(
    ("sequence", "expected"),
    [
        ("ACGTGTACNTGCACGGANCGACTAGTCTGA", "ACGTGT A C N TGCACG G A N CGACTA GTCTGA"),
        ("ACGTGTACGTGCACGGACGACTAGTCAGCA", "ACGTGT ACGTGC ACGGAC GACTAG TCAGCA"),
    ],
)
def test_the_examples_of_nucleotide_transformer(nt, sequence, expected):
    for tokenizer in nt.values():
        ids = tokenizer.add_special(tokenizer.encode(sequence))
        assert [tokenizer.tokens[i] for i in ids] == ["<cls>", *expected.split()]


@settings(deadline=None, max_examples=200)
@given(sequence=DNA)
@example(sequence="NACGTACGTACGTNN")
def test_nucleotide_transformer_against_its_rule_and_esm(nt, esm, sequence):
    words = list(slow_nt(sequence))
    for version, tokenizer in nt.items():
        vocabulary = {word: i for i, word in enumerate(nt_vocabulary(version))}
        ids, starts, ends = tokenizer.encode_with_offsets(sequence)
        assert ids.tolist() == [vocabulary[word] for word in words]
        assert ends.tolist() == list(itertools.accumulate(map(len, words)))
        assert starts.tolist() == [0, *ends.tolist()][: len(ids)]
        assert tokenizer.decode(ids) == sequence
    assert esm(sequence)["input_ids"] == nt[2].add_special(nt[2].encode(sequence)).tolist()


@pytest.fixture(scope="module")
def esm(tmp_path_factory):
    """The class that the published version 2 names, on its vocab.txt."""
    path = tmp_path_factory.mktemp("esm") / "vocab.txt"
    path.write_text("\n".join(nt_vocabulary(2)))
    return EsmTokenizer(str(path), eos_token=None)


@settings(deadline=None, max_examples=300)
@given(sequence=ANY)
def test_side_by_side_the_library_gives_the_same_ids(nt, sequence):
    """The fast way against the tokenizers library, for any text."""
    for tokenizer in nt.values():
        assert tokenizer._is_ours
        theirs = tokenizer._library.encode(sequence, add_special_tokens=False)
        ids, starts, ends = tokenizer.encode_with_offsets(sequence)
        assert tokenizer.encode(sequence).tolist() == theirs.ids == ids.tolist()
        assert list(zip(starts.tolist(), ends.tolist(), strict=True)) == theirs.offsets


def test_other_words_side_by_side():
    tokenizer = nt_tokenizer(2, k=3)
    assert (tokenizer.k, tokenizer.vocab_size, tokenizer.max_tokens) == (3, 75, None)
    ids = tokenizer.encode("ACGTANAC")
    assert [tokenizer.tokens[i] for i in ids] == ["ACG", "T", "A", "N", "A", "C"]


def test_every_other_letter_is_unknown_by_itself(nt, dnabert):
    assert nt[2].encode("RRacgtacAC中").tolist() == [0] * 8 + [4102, 4104, 0]
    assert nt[2].decode(nt[2].encode("RRacAC")) == "NNNNAC"
    assert (
        nt[2].encode(in_its_case(nt[2], ["acgtac"])[0]).tolist() == nt[2].encode("ACGTAC").tolist()
    )
    found = [dnabert[3].tokens[i] for i in dnabert[3].encode("ACGtACG")]
    assert found == ["ACG", "[UNK]", "[UNK]", "[UNK]", "ACG"]


# Back to bases


@settings(deadline=None, max_examples=200)
@given(sequence=st.text("ACGTacgtNR", max_size=40), k=st.sampled_from([3, 4, 5, 6]))
@example(sequence="ACGTN", k=3)
@example(sequence="AC", k=3)
def test_a_base_is_known_if_a_known_word_covers_it(dnabert, sequence, k):
    expected = ["N"] * (len(sequence) if len(sequence) >= k else 0)
    for start in range(len(sequence) - k + 1):
        if set(sequence[start : start + k]) <= set("ACGT"):
            expected[start : start + k] = sequence[start : start + k]
    assert dnabert[k].decode(dnabert[k].encode(sequence)) == "".join(expected)


def test_decoding_tokens_that_do_not_fit(dnabert):
    three = dnabert[3]
    ids = {word: i for i, word in enumerate(three.tokens)}
    # Where two words disagree the first counts, and a special token ends a chain.
    assert three.decode([ids["AAA"], ids["CCC"]]) == "AAAC"
    assert three.decode([2, ids["AAA"], ids["AAC"], 4, ids["GGG"], 3, 0]) == "AAACGGG"
    assert three.decode([]) == three.decode([2, 3]) == ""
    with pytest.raises(TokenizerError, match="token id 69 at position 1 is not in the vocabulary"):
        three.decode([5, 69])


def test_a_special_token_in_a_sequence_is_that_token(dnabert):
    ids, starts, ends = dnabert[3].encode_with_offsets("ACGT[MASK]ACG[PAD]A")
    assert [dnabert[3].tokens[i] for i in ids] == ["ACG", "CGT", "[MASK]", "ACG", "[PAD]"]
    assert starts.tolist() == [0, 1, 4, 10, 13]
    assert ends.tolist() == [3, 4, 10, 13, 18]


def test_offsets_of_spaced_words(dnabert):
    ids, starts, ends = dnabert[3].encode_with_offsets(" ACG  CGT[MASK]AC\n")
    assert [dnabert[3].tokens[i] for i in ids] == ["ACG", "CGT", "[MASK]", "[UNK]"]
    assert starts.tolist() == [1, 6, 9, 15]
    assert ends.tolist() == [4, 9, 15, 17]


def test_a_text_that_is_half_unknown_because_of_its_case_is_named_once(caplog):
    tokenizer = nt_tokenizer()
    tokenizer.encode("ACGTAC" * 7 + "acgtac")  # 6 of 13 tokens
    tokenizer.encode("N" * 30)
    tokenizer.encode("acgtacgtacgtacgtacg")  # 19 letters
    assert not caplog.records
    for _ in range(2):
        tokenizer.encode("ACGTACacgtac" * 10)
    (record,) = caplog.records
    # Half of the letters, and 6 tokens for each word that is known.
    assert record.message == (
        "tokenizer: 60 of 70 tokens are unknown: the vocabulary lacks 'a' (16.7% of the letters), "
        "'c' (16.7% of the letters), 'g' (8.3% of the letters) and 1 more, so each is one unknown "
        "token; this tokenizer keeps case and knows upper-case bases only: give upper case "
        "(helixlm.tokenizers.base.in_its_case)"
    )
    tokenizer.encode_batch(["R" * 15, "RRRNNNNNNNNN"])  # something else than case
    assert "18 of 27 tokens are unknown: the vocabulary lacks 'R' (66.7% of the letters)" in (
        caplog.records[1].message
    )
    tokenizer.encode_batch(["-" * 50, "acgt" * 20])
    assert len(caplog.records) == 2


def test_unknown_words_are_named_by_their_letters(caplog):
    tokenizer = dnabert_tokenizer(3)
    tokenizer.encode("N" * 40 + "ACGT")
    assert caplog.records[0].message == (
        "tokenizer: 40 of 42 tokens are unknown: the vocabulary lacks 'N' (90.9% of the letters), "
        "so each word with one is one unknown token"
    )
    other = dnabert_tokenizer(3)
    other.encode("ACGT CGTA GTAC TACG ACGT")
    assert "its letters are known, but not its words, such as 'ACGT CGTA GTAC TACG '" in (
        caplog.records[1].message
    )


def test_where_case_is_not_kept_it_is_not_blamed(bpe, caplog):
    tokenizer = bpe_tokenizer(bpe.merges)
    tokenizer.encode("acgtACGTGATTACATATA" * 3 + "N" * 200)
    (record,) = caplog.records
    assert "the vocabulary lacks 'N' (77.8% of the letters), so each is one" in record.message
    assert "case" not in record.message


# Files of others


def word_level(tmp_path, tokens, splitter, unk="[UNK]"):
    library = Tokenizer(models.WordLevel({t: i for i, t in enumerate(tokens)}, unk_token=unk))
    library.pre_tokenizer = splitter
    library.save(str(tmp_path / "tokenizer.json"))
    return load_tokenizer(tmp_path)


TWO = pre_tokenizers.Split(Regex("[ACGT]{2}|."), "isolated")
SPACE = pre_tokenizers.WhitespaceSplit()
PAIRS = ["".join(pair) for pair in itertools.product("ACGT", repeat=2)]


def test_files_of_others_load(tmp_path):
    ours = word_level(tmp_path, ["[UNK]", *"ACGTN", *PAIRS], TWO)
    assert isinstance(ours, KmerTokenizer)
    assert not ours._is_ours  # so the library encodes
    assert [ours.tokens[i] for i in ours.encode("ACGNTTR")] == ["AC", "G", "N", "TT", "[UNK]"]
    ours = word_level(tmp_path, ["[UNK]", *PAIRS], SPACE)
    assert isinstance(ours, OverlappingKmerTokenizer)
    assert [ours.tokens[i] for i in ours.encode("ACGN")] == ["AC", "CG", "[UNK]"]
    assert ours.add_special(ours.encode("ACG")).tolist() == ours.encode("ACG").tolist()


@pytest.mark.parametrize(
    ("tokens", "splitter", "message"),
    [
        (["[UNK]", *"ACGT", *PAIRS[1:]], TWO, "holds 15 of the 16 words of 2 bases, expected all"),
        (["[UNK]", *"ACG", *PAIRS], TWO, "no token for 'T' alone, which is what remains"),
        (["[UNK]", *"ACGT", *PAIRS, "ACG"], TWO, "holds 'AA', expected words of one length"),
        (["[UNK]", "the", "cat"], SPACE, "holds 'the', expected words of one length over A, C, G"),
        (["[UNK]", "A", "C"], SPACE, "expected words of one length"),
        (["[UNK]", "N", *PAIRS], SPACE, "holds 17 entries beside .*, expected the 16 words of 2"),
    ],
)
def test_files_that_are_no_tokenizer_of_kmers(tmp_path, tokens, splitter, message):
    with pytest.raises(TokenizerError, match=message):
        word_level(tmp_path, tokens, splitter)
