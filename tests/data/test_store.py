"""The token store against plain lists; what it refuses; kills and full disks."""

import json
import pickle
import signal
import subprocess
import sys
import textwrap
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.data import documents as documents_module
from helixlm.data.store import StoreError, open_store, write_store
from helixlm.errors import StateError

HASHES = {"tokenizer_sha256": "t" * 64, "corpus_sha256": "c" * 64}
DOCUMENTS = {
    "train": [[5, 6, 7], [8], [9, 10, 11, 12], [13] * 25, [14, 15]],
    "validation": [[5, 5, 6]],
}


def write(output, documents=DOCUMENTS, vocab_size=50, **arguments):
    return write_store(output, documents, vocab_size=vocab_size, **HASHES, **arguments)


document_lists = st.lists(
    st.lists(st.integers(0, 299), min_size=1, max_size=30), min_size=1, max_size=30
)


@settings(deadline=None, max_examples=60)
@given(document_lists, st.integers(1, 60), st.integers(1, 80), st.data())
def test_what_goes_in_comes_out(tmp_path_factory, documents, shard_tokens, batch, data):
    folder = tmp_path_factory.mktemp("store") / "store"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents_module, "_BATCH_TOKENS", batch)
        manifest = write(folder, {"train": documents}, vocab_size=300, shard_tokens=shard_tokens)
    for shard in manifest.splits["train"].shards:
        assert shard.tokens <= shard_tokens or shard.documents == 1
    store = open_store(folder)
    store.verify()
    split = store.split("train")
    flat = [token for document in documents for token in document]
    assert split.num_documents == len(split) == len(documents)
    assert split.num_tokens == len(flat)
    assert split.lengths.tolist() == [len(document) for document in documents]
    assert split.ends.tolist() == np.cumsum(split.lengths).tolist()
    for index, document in enumerate(documents):
        assert split.document(index).tolist() == document
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents_module, "_COUNT_AT_ONCE", batch)
        counts = split.count_tokens(300)
    assert {i: n for i, n in enumerate(counts.tolist()) if n} == Counter(flat)
    numbers = st.integers(0, len(flat))
    bounds = data.draw(st.lists(st.tuples(numbers, numbers).map(sorted), max_size=8))
    for start, stop in bounds:
        assert split.tokens(start, stop).tolist() == flat[start:stop]
    gathered = split.gather([a for a, _ in bounds], [b - a for a, b in bounds])
    assert gathered.dtype == split.dtype
    assert gathered.tolist() == [token for a, b in bounds for token in flat[a:b]]


def test_the_files_are_plain_integers(tmp_path):
    manifest = write(tmp_path / "store", shard_tokens=8)
    train = tmp_path / "store" / "train"
    shards = [np.fromfile(path, "<u2").tolist() for path in sorted(train.glob("tokens-*.bin"))]
    assert shards == [[5, 6, 7, 8, 9, 10, 11, 12], [13] * 25, [14, 15]]
    assert [path.name for path in sorted(train.iterdir())] == [
        "ends.npy", "tokens-00000.bin", "tokens-00001.bin", "tokens-00002.bin",
    ]  # fmt: skip
    ends = np.load(train / "ends.npy")
    assert ends.dtype == np.int64
    assert ends.tolist() == [3, 4, 8, 33, 35]
    assert manifest.splits["train"].num_tokens == 35
    assert [shard.documents for shard in manifest.splits["train"].shards] == [3, 1, 1]
    content = json.loads((tmp_path / "store" / "manifest.json").read_text())
    assert (content["format"], content["format_version"]) == ("helixlm token store", 1)
    assert content["dtype"] == "uint16"
    assert open_store(tmp_path / "store").manifest == manifest


@pytest.mark.parametrize(
    ("vocab_size", "dtype"), [(65_536, "uint16"), (65_537, "uint32"), (2**32, "uint32")]
)
def test_the_type_holds_the_largest_id(tmp_path, vocab_size, dtype):
    manifest = write(tmp_path / "store", {"train": [[0, vocab_size - 1]]}, vocab_size)
    assert manifest.dtype == dtype
    document = open_store(tmp_path / "store").split("train").document(0)
    assert document.dtype == dtype
    assert document.tolist() == [0, vocab_size - 1]


def test_documents_are_read_only_views_of_one_map(tmp_path):
    write(tmp_path / "store")
    split = open_store(tmp_path / "store").split("train")
    first = split.document(0)
    assert type(first) is np.ndarray
    assert np.shares_memory(first, split.tokens(0, 35))
    for array in (first, split.ends, split.lengths):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_a_split_travels_to_another_process(tmp_path, monkeypatch):
    write(tmp_path / "store", shard_tokens=8)
    monkeypatch.chdir(tmp_path)
    split = open_store("store").split("train")
    assert split.document(3).tolist() == [13] * 25
    assert split.lengths.sum() == 35
    sent = pickle.dumps(split)
    assert len(sent) < 2000  # paths and counts only
    monkeypatch.chdir("/")
    received = pickle.loads(sent)
    for index, document in enumerate(DOCUMENTS["train"]):
        assert received.document(index).tolist() == document


def test_a_stream_that_uses_one_buffer_again(tmp_path):
    buffer = np.zeros(3, np.int32)

    def stream():
        for i in range(5):
            buffer[:] = i
            yield buffer

    calls = []
    write(tmp_path / "store", {"train": stream()}, progress=lambda *call: calls.append(call))
    split = open_store(tmp_path / "store").split("train")
    assert [split.document(i).tolist() for i in range(5)] == [[i] * 3 for i in range(5)]
    assert calls == [(5, 5)]


def test_progress_counts_documents_of_all_splits(tmp_path):
    calls = []
    documents = {"train": [[1]] * 2000, "validation": [[1]] * 100}
    write(tmp_path / "store", documents, progress=lambda *call: calls.append(call))
    assert calls == [(1024, None), (2048, None), (2100, 2100)]


def test_memory_is_bounded(tmp_path):
    document = np.arange(1000, dtype=np.int32)
    tracemalloc.start()
    write(tmp_path / "store", {"train": (document for _ in range(10_000))}, vocab_size=1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert open_store(tmp_path / "store").split("train").num_tokens == 10_000_000  # 20 MB
    assert peak < 10_000_000


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([3, 50], "split 'train', document 2: found token id 50, expected 0 to 49"),
        ([-1, 3], "split 'train', document 2: found token id -1, expected 0 to 49"),
        ([], r"document 2: expected a row of at least one integer token id, found shape \(0,\)"),
        ([[1, 2]], r"document 2: expected a row .* found shape \(1, 2\) of int64"),
        ([1.0], r"document 2: expected a row .* found shape \(1,\) of float64"),
    ],
)
@pytest.mark.parametrize("batch", [1, 1000])
def test_documents_that_cannot_be_stored(tmp_path, monkeypatch, document, message, batch):
    monkeypatch.setattr(documents_module, "_BATCH_TOKENS", batch)
    with pytest.raises(StoreError, match=message):
        write(tmp_path / "store", {"train": [[1, 2], [3], document, [4]]})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"documents": {}}, "documents: expected at least one split, found none"),
        ({"documents": {"train": []}}, "split 'train': expected documents, found none"),
        ({"documents": {"a/b": [[1]]}}, "split 'a/b': expected a name that can be a folder"),
        ({"documents": {"..": [[1]]}}, "split '..': expected a name that can be a folder"),
        ({"vocab_size": 0}, r"vocab_size 0: expected 1 to 2\*\*32"),
        ({"shard_tokens": 0}, "shard_tokens 0: expected at least 1"),
    ],
)
def test_arguments_that_make_no_store(tmp_path, arguments, message):
    with pytest.raises(StoreError, match=message):
        write(tmp_path / "store", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_requests_that_cannot_be_served(tmp_path):
    write(tmp_path / "store")
    store = open_store(tmp_path / "store")
    with pytest.raises(StoreError, match="no split 'test'; found train, validation"):
        store.split("test")
    split = store.split("train")
    for index in (-1, 5):
        with pytest.raises(StoreError, match=f"document {index}: expected 0 to 4"):
            split.document(index)
    for start, stop in ((-1, 3), (4, 3), (0, 36)):
        with pytest.raises(
            StoreError, match=f"tokens {start} to {stop}: expected a range of 0 to 35"
        ):
            split.tokens(start, stop)
    for starts, lengths in (
        ([0], [36]),
        ([-1], [1]),
        ([3], [-1]),
        ([1, 2], [1]),
        ([1, 2, 3], [1, 1]),
        ([[1]], [[1]]),
    ):
        with pytest.raises(StoreError, match="gather: expected ranges of 0 to 35"):
            split.gather(starts, lengths)


def test_a_finished_store_is_not_written_again(tmp_path):
    manifest = write(tmp_path / "store")

    def never():
        raise AssertionError("the documents were read")
        yield

    assert write(tmp_path / "store", {"train": never(), "validation": never()}) == manifest
    message = r"vocabulary size \(50 there, 60 now\), splits \(\['train', 'validation'\] there"
    with pytest.raises(StateError, match=message):
        write(tmp_path / "store", {"train": never()}, vocab_size=60)
    with pytest.raises(StateError, match=r"tokenizer .'tttttttttttt' there, 'xxxxxxxxxxxx' now"):
        write_store(
            tmp_path / "store", DOCUMENTS,
            vocab_size=50, tokenizer_sha256="x" * 64, corpus_sha256="c" * 64,
        )  # fmt: skip


def test_damaged_stores_are_refused(tmp_path):
    write(tmp_path / "store")
    shard = tmp_path / "store" / "train" / "tokens-00000.bin"
    data = shard.read_bytes()
    shard.write_bytes(data[:-2])
    message = "tokens-00000.bin: 68 bytes, manifest.json says 70: the file was cut short"
    for function in (open_store, write):
        with pytest.raises(StateError, match=message):
            function(tmp_path / "store")
    shard.write_bytes(bytes(len(data)))
    with pytest.raises(StateError, match="the contents are not those that were written"):
        open_store(tmp_path / "store").verify()
    shard.unlink()
    with pytest.raises(StateError, match="the file is missing"):
        open_store(tmp_path / "store")


def test_what_is_not_a_store_is_refused(tmp_path):
    with pytest.raises(StateError, match="expected the manifest of a helixlm token store"):
        open_store(tmp_path)
    write(tmp_path / "store")
    path = tmp_path / "store" / "manifest.json"
    path.write_text(path.read_text().replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(StateError, match="of format version 2, this helixlm reads version 1"):
        open_store(tmp_path / "store")


def test_an_error_in_the_stream_leaves_nothing(tmp_path):
    def stream():
        yield [1, 2, 3]
        raise KeyError("tokenizer")

    with pytest.raises(KeyError, match="tokenizer"):
        write(tmp_path / "store", {"train": stream()})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", [0, 3000])
def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch, small_files, limit):
    monkeypatch.setattr(documents_module, "_BATCH_TOKENS", 100)
    small_files(limit)
    with pytest.raises(StateError, match=r"the disk or a quota is full .* nothing was written"):
        write(tmp_path / "store", {"train": [[1] * 40] * 1000})
    assert list(tmp_path.iterdir()) == []


def test_a_kill_in_the_middle_leaves_nothing_under_the_name(tmp_path):
    script = """
        import os, signal, sys
        from helixlm.data.store import write_store

        def stream():
            for _ in range(1000):
                yield [1] * 1000
            os.kill(os.getpid(), signal.SIGKILL)

        write_store(sys.argv[1], {"train": stream()}, vocab_size=50, shard_tokens=10_000,
                    tokenizer_sha256="t", corpus_sha256="c")
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "store")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert not (tmp_path / "store").exists()
    write(tmp_path / "store")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
