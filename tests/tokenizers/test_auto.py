"""Overlapping k-mers through AutoTokenizer: ids, offsets, batches, and saving again."""

import json
import pickle
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, BertConfig, BertTokenizer

from helixlm.tokenizers.auto import HelixlmKmerTokenizer
from helixlm.tokenizers.hf import load_tokenizer
from helixlm.tokenizers.kmer_overlapping import (
    OverlappingKmerTokenizer,
    dnabert_tokenizer,
    dnabert_vocabulary,
)

LETTERS = st.sampled_from("ACGTacgtNnRY-*<[]> \n\t\x1c\x1f\x85\u2028é中\x00")
SOME = st.sampled_from(["ACGTACGT", "AAAAAAA", "[MASK]", "[UNK]", "[CLS]", "[SEP]", "[PAD]"])
ANY = st.lists(st.text(LETTERS, max_size=25) | SOME, max_size=5).map("".join)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    ours = {k: dnabert_tokenizer(k) for k in (3, 6)}
    folder = tmp_path_factory.mktemp("kmers")
    for k, tokenizer in ours.items():
        tokenizer.save(folder / str(k))
    return folder, ours, {k: AutoTokenizer.from_pretrained(folder / str(k)) for k in ours}


@pytest.mark.parametrize("k", [3, 6])
@settings(deadline=None, max_examples=300)
@given(sequence=ANY)
@example(sequence="")
@example(sequence="ACG CGT[MASK]GTA")
@example(sequence="ACGT[MASK]ACGTNACGT")
def test_ids_and_offsets_are_ours_for_any_text(saved, k, sequence):
    _, ours, auto = saved
    ids, starts, ends = ours[k].encode_with_offsets(sequence)
    found = auto[k](sequence, add_special_tokens=False, return_offsets_mapping=True)
    assert found["input_ids"] == ids.tolist()
    assert found["offset_mapping"] == list(zip(starts.tolist(), ends.tolist(), strict=True))
    assert auto[k](sequence)["input_ids"] == ours[k].add_special(ids).tolist()
    assert auto[k].encode(sequence) == ours[k].add_special(ids).tolist()
    assert auto[k].tokenize(sequence) == [ours[k].tokens[i] for i in ids]


def test_without_helixlm_spaced_words_give_the_same_ids(saved):
    folder, ours, _ = saved
    script = (
        "import json, sys\n"
        "sys.modules['helixlm'] = None\n"
        "from transformers import AutoTokenizer\n"
        "auto = AutoTokenizer.from_pretrained(sys.argv[1])\n"
        "print(json.dumps([auto(t)['input_ids'] for t in ('ACG CGN GNT [MASK]', 'ACGNT')]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder / "3")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    spaced, raw = json.loads(done.stdout)
    assert spaced == ours[3].add_special(ours[3].encode("ACGNT[MASK]")).tolist()
    assert raw == [2, 1, 3]  # one unknown word, as the page says


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("text", ["ACGTT", "ACGNT", "ACGT[MASK]ACG", "ACG", "AC"])
def test_words_are_decoded_apart_as_bert_does(saved, text, skip):
    vocabulary = {word: i for i, word in enumerate(dnabert_vocabulary(3))}
    bert = BertTokenizer(vocab=vocabulary, do_lower_case=False)
    _, ours, auto = saved
    ids = ours[3].add_special(ours[3].encode(text)).tolist()
    assert auto[3].decode(ids, skip_special_tokens=skip) == bert.decode(
        ids, skip_special_tokens=skip
    )
    if text == "ACGTT" and not skip:
        assert auto[3].decode(ids) == "[CLS] ACG CGT GTT [SEP]"


def test_the_class_is_found_beside_a_model(saved, tmp_path):
    _, ours, _ = saved
    BertConfig().save_pretrained(tmp_path)
    ours[6].save(tmp_path)
    auto = AutoTokenizer.from_pretrained(tmp_path)
    assert type(auto) is HelixlmKmerTokenizer
    assert auto("ACGTACG")["input_ids"] == ours[6].add_special(ours[6].encode("ACGTACG")).tolist()


def test_batches_pairs_padding_and_cutting(saved):
    auto = saved[2][3]
    batch = auto(["ACGTAC", "ACG"], padding=True, return_tensors="np", return_offsets_mapping=True)
    assert batch["input_ids"].shape == (2, 6)
    assert batch["input_ids"][1].tolist()[2:] == [3, 0, 0, 0]
    assert batch["offset_mapping"][0].tolist() == [[0, 0], [0, 3], [1, 4], [2, 5], [3, 6], [0, 0]]
    assert batch["offset_mapping"][1].tolist() == [[0, 0], [0, 3], *[[0, 0]] * 4]
    alone = auto("ACGTAC", return_tensors="pt", return_offsets_mapping=True)
    assert alone["input_ids"].tolist() == batch["input_ids"][:1].tolist()
    assert alone["offset_mapping"].tolist() == batch["offset_mapping"][:1].tolist()
    pair = auto("ACGT", "TTTT", return_offsets_mapping=True)
    assert auto.convert_ids_to_tokens(pair["input_ids"]) == (
        ["[CLS]", "ACG", "CGT", "[SEP]", "TTT", "TTT", "[SEP]"]
    )
    assert pair["offset_mapping"] == [(0, 0), (0, 3), (1, 4), (0, 0), (0, 3), (1, 4), (0, 0)]
    assert auto([("ACGT", "TTTT")])["input_ids"] == [pair["input_ids"]]
    assert auto(["ACGT"], ["TTTT"])["input_ids"] == [pair["input_ids"]]
    assert auto("ACGT", "")["input_ids"] == auto("ACGT")["input_ids"]
    assert auto(["ACG", "CGT"], is_split_into_words=True)["input_ids"] == auto("ACGT")["input_ids"]
    cut = auto(
        "ACGTACGTA", max_length=5, truncation=True, stride=1, return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )  # fmt: skip
    assert [[pair[0] for pair in row[1:-1]] for row in cut["offset_mapping"]] == [
        [0, 1, 2], [2, 3, 4], [4, 5, 6]
    ]  # fmt: skip


def test_what_transformers_saves_again_is_the_same(saved, tmp_path):
    _, ours, auto = saved
    text = "ACGTACGNNACGTTGCA"
    auto[3].save_pretrained(tmp_path)
    again = load_tokenizer(tmp_path)
    assert isinstance(again, OverlappingKmerTokenizer)
    assert (again.special, again.max_tokens) == (ours[3].special, 512)
    for other in (AutoTokenizer.from_pretrained(tmp_path), pickle.loads(pickle.dumps(auto[3]))):
        assert type(other) is HelixlmKmerTokenizer
        assert other(text) == auto[3](text)


def test_a_token_that_is_added_is_not_cut_into_words(saved):
    folder, _, _ = saved
    auto = AutoTokenizer.from_pretrained(folder / "3")
    assert auto.tokenize("ACG<gap>ACG") == ["ACG", *["[UNK]"] * 7, "ACG"]
    auto.add_tokens(["<gap>"], special_tokens=True)
    assert auto.tokenize("ACG<gap>ACG") == ["ACG", "<gap>", "ACG"]


def test_a_plain_token_that_is_added_leaves_the_words_as_they_are(saved):
    """transformers marks it as one to be found after normalising."""
    folder, _, _ = saved
    auto = AutoTokenizer.from_pretrained(folder / "3")
    auto.add_tokens(["<gap>", "<gap>2", "GATTACAGATTACA"])
    assert auto.tokenize("ACGTACG") == ["ACG", "CGT", "GTA", "TAC", "ACG"]
    assert auto.tokenize("ACGT<gap>ACG<gap>2") == ["ACG", "CGT", "<gap>", "ACG", "<gap>2"]
    assert auto.tokenize("ACG CGT<gap>GTA") == ["ACG", "CGT", "<gap>", "GTA"]
    assert auto.tokenize("ACGTGATTACAGATTACA") == ["ACG", "CGT", "GATTACAGATTACA"]


def test_an_added_token_is_kept_by_saving(saved, tmp_path):
    auto = AutoTokenizer.from_pretrained(saved[0] / "3")
    auto.add_tokens(["<gap>"])
    auto.save_pretrained(tmp_path)
    ours = load_tokenizer(tmp_path)
    for text in ("ACGTACG", "ACGT<gap>ACG", "ACG CGT<gap>GTA", "<gap", ""):
        ids, starts, ends = ours.encode_with_offsets(text)
        found = auto(text, add_special_tokens=False, return_offsets_mapping=True)
        assert found["input_ids"] == ids.tolist() == ours.encode(text).tolist()
        assert found["offset_mapping"] == list(zip(starts.tolist(), ends.tolist(), strict=True))
    assert [ours.tokens[i] for i in ours.encode("ACGT<gap>ACG")] == ["ACG", "CGT", "<gap>", "ACG"]
