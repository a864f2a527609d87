"""The letter store against plain lists of strings; what it refuses."""

import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.data import letters as letters_module
from helixlm.data.corpus.base import open_corpus
from helixlm.data.corpus.prepare import prepare_corpus
from helixlm.data.documents import StoreError
from helixlm.data.letters import open_letters, write_letters
from helixlm.data.sources import Source
from helixlm.data.splits import SplitConfig
from helixlm.data.windows import TinyDnabertWindows
from helixlm.errors import StateError
from helixlm.rng import CounterRng

HASH = "c" * 64
SEQUENCES = {"train": ["ACGT", "n", "acgtRYSWKMBDHVN"], "validation": ["GG"]}


def write(output, sequences=SEQUENCES, corpus_sha256=HASH, **arguments):
    return write_letters(output, sequences, corpus_sha256=corpus_sha256, **arguments)


texts = st.lists(
    st.text("ACGTNRYSWKMBDHVacgtnryswkmbdhv", min_size=1, max_size=30), min_size=1, max_size=30
)


@settings(deadline=None, max_examples=40)
@given(texts, st.integers(1, 60))
def test_what_goes_in_comes_out(tmp_path_factory, sequences, shard_letters):
    folder = tmp_path_factory.mktemp("letters") / "letters"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(letters_module, "SHARD_LETTERS", shard_letters)
        write(folder, {"train": sequences})
    store = open_letters(folder)
    store.verify()
    split = store.split("train")
    assert [split.document(i).tobytes().decode() for i in range(len(split))] == sequences
    assert split.tokens(0, split.num_tokens).tobytes().decode() == "".join(sequences)


def test_the_files_are_the_letters(tmp_path):
    calls = []
    manifest = write(tmp_path / "letters", progress=lambda *call: calls.append(call))
    assert calls == [(4, 4)]
    assert (tmp_path / "letters" / "train" / "letters-00000.bin").read_bytes() == (
        b"ACGTnacgtRYSWKMBDHVN"
    )
    content = json.loads((tmp_path / "letters" / "manifest.json").read_text())
    assert (content["format"], content["format_version"]) == ("helixlm letter store", 1)
    assert content["corpus_sha256"] == HASH
    assert open_letters(tmp_path / "letters").manifest == manifest


def test_it_holds_the_sequences_of_a_corpus(tmp_path):
    fasta = tmp_path / "genome.fa"
    texts = [
        "".join("ACGTRacgtrN"[i] for i in CounterRng("l", n).integers(0, 11, 3000)) for n in "abc"
    ]
    fasta.write_text("".join(f">c{n}\n{text}\n" for n, text in enumerate(texts)))
    prepare_corpus(
        [Source(fasta=fasta)],
        tmp_path / "corpus",
        windows=TinyDnabertWindows(min_bp=2, max_bp=9),
        split=SplitConfig(validation_contigs=("c0",)),
    )
    corpus = open_corpus(tmp_path / "corpus")
    splits = ("train", "validation")
    write(tmp_path / "letters", {split: corpus.iter_sequences(split) for split in splits})
    store = open_letters(tmp_path / "letters")
    for split in splits:
        windows = list(corpus.iter_windows(split))
        found = store.split(split)
        assert len(found) == len(windows) > 50
        for number, window in enumerate(windows):
            text = texts[int(window.contig[1])][window.start : window.end]
            assert found.document(number).tobytes().decode() == text


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        (["AC", "ACxT"], r"split 'train', sequence 1: letter 'x' at position 2, expected the let"),
        (["ACU"], r"split 'train', sequence 0: letter 'U' at position 2, .*; write RNA with T"),
        (["AC", ""], "split 'train', sequence 1: expected at least one letter, found none"),
        ([], "split 'train': expected documents, found none"),
    ],
)
def test_sequences_that_cannot_be_stored(tmp_path, sequences, message):
    with pytest.raises(StoreError, match=message):
        write(tmp_path / "letters", {"train": sequences})
    assert list(tmp_path.iterdir()) == []


def test_a_finished_store_is_not_written_again(tmp_path):
    def never():
        raise AssertionError("the sequences were read")
        yield

    manifest = write(tmp_path / "letters")
    assert write(tmp_path / "letters", {"train": never(), "validation": never()}) == manifest
    with pytest.raises(StateError, match=r"corpus \('cccccccccccc' there, 'dddddddddddd' now\)"):
        write(tmp_path / "letters", corpus_sha256="d" * 64)
    with pytest.raises(StateError, match=r"splits \(\['train', 'validation'\] there, \['train'\]"):
        write(tmp_path / "letters", {"train": never()})


def test_what_is_damaged_or_not_there_is_refused(tmp_path):
    write(tmp_path / "letters")
    store = open_letters(tmp_path / "letters")
    with pytest.raises(StoreError, match="no split 'test'; found train, validation"):
        store.split("test")
    file = tmp_path / "letters" / "train" / "letters-00000.bin"
    data = file.read_bytes()
    file.write_bytes(data.lower())
    with pytest.raises(StateError, match="the contents are not those that were written"):
        store.verify()
    file.write_bytes(data[:-1])
    with pytest.raises(StateError, match=r"19 bytes, manifest.json says 20: the file was cut"):
        open_letters(tmp_path / "letters")
    with pytest.raises(StateError, match="expected the manifest of a helixlm letter store, found"):
        open_letters(tmp_path)


def test_memory_is_bounded(tmp_path):
    sequence = "ACGT" * 3000
    tracemalloc.start()
    write(tmp_path / "letters", {"train": (sequence for _ in range(3000))})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert open_letters(tmp_path / "letters").split("train").num_tokens == 36_000_000
    assert peak < 10_000_000
