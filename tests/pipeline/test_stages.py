"""The stages before training: whose tokenizer a folder holds, and what case it is given."""

import json
import shutil

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer

from helixlm.data.corpus.base import open_corpus
from helixlm.data.corpus.prepare import prepare_corpus
from helixlm.data.sources import Source
from helixlm.data.splits import SplitConfig
from helixlm.data.windows import TinyDnabertWindows
from helixlm.errors import StateError
from helixlm.pipeline.progress import Silent
from helixlm.pipeline.stages import (
    encode_documents,
    make_letters,
    make_store,
    make_tokenizer,
    vocabulary_of,
)
from helixlm.rng import CounterRng
from helixlm.tokenizers.base import TokenizerConfig
from helixlm.tokenizers.char import CharTokenizer
from helixlm.tokenizers.kmer import nt_tokenizer
from helixlm.tokenizers.kmer_overlapping import dnabert_tokenizer

BPE = TokenizerConfig(vocab_size=16, min_frequency=2)
BOOK = TokenizerConfig(kind="char", preset="book")


def soft_masked(length, *key):
    rng = CounterRng("soft-masked", *key)
    return "".join("ACGTRacgtr"[i] for i in rng.choice([9, 9, 9, 9, 1] * 2, length))


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """Two corpora of other sequences, with lower case kept."""
    folder = tmp_path_factory.mktemp("corpora")
    for name in ("one", "two"):
        fasta = folder / f"{name}.fa"
        fasta.write_text("".join(f">c{i}\n{soft_masked(3000, name, i)}\n" for i in range(4)))
        prepare_corpus(
            [Source(fasta=fasta)],
            folder / name,
            windows=TinyDnabertWindows(min_bp=100, max_bp=300),
            split=SplitConfig(validation_contigs=("c0",)),
        )
    return [open_corpus(folder / name) for name in ("one", "two")]


def test_a_tokenizer_without_mask_or_padding_is_refused():
    for name in ("[PAD]", "[MASK]"):
        vocab = {"A": 0, "[UNK]": 1, name: 2}
        library = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
        library.pre_tokenizer = pre_tokenizers.Split("", "isolated")
        with pytest.raises(StateError, match="no mask or no padding token, and masked pretrain"):
            vocabulary_of(CharTokenizer(library.to_str()))


def test_words_that_overlap_add_a_base_each():
    known = vocabulary_of(dnabert_tokenizer(3))
    assert known.overlap_bp == 2
    assert known.token_bp.tolist() == [0, 1, 0, 0, 0] + [1] * 64


def test_words_side_by_side_add_all_their_bases():
    known = vocabulary_of(nt_tokenizer(2))
    assert (known.overlap_bp, known.token_bp.max()) == (0, 6)
    assert (known.bos, known.eos, known.pad, known.mask) == (3, None, 1, 2)
    assert len(known.regular) == 4101


def test_a_sequence_without_a_token_is_named():
    found = encode_documents(dnabert_tokenizer(6), iter(["ACGTACG", "ACGTA"]))
    assert len(next(found)) == 2
    with pytest.raises(StateError, match="sequence 1 of 5 letters has no token: this tokenizer's"):
        next(found)


def test_a_tokenizer_that_is_there_is_loaded(corpora, tmp_path):
    made = make_tokenizer(corpora[0], BPE, tmp_path / "tokenizer", Silent())
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "tokenizer").iterdir()}
    again = make_tokenizer(corpora[0], BPE, tmp_path / "tokenizer", Silent())
    assert again.sha256 == made.sha256
    assert files == {path: path.stat().st_mtime_ns for path in (tmp_path / "tokenizer").iterdir()}
    auto = AutoTokenizer.from_pretrained(tmp_path / "tokenizer")
    assert auto("ACGTTTGACA")["input_ids"] == made.add_special(made.encode("ACGTTTGACA")).tolist()


def test_a_tokenizer_of_another_corpus_or_of_other_settings_is_refused(corpora, tmp_path):
    folder = tmp_path / "tokenizer"
    make_tokenizer(corpora[0], BPE, folder, Silent())
    before = (folder / "tokenizer.json").read_bytes()
    one, two = (corpus.manifest.corpus_sha256[:12] for corpus in corpora)
    message = rf"tokenizer: made before .*: corpus \('{one}' there, '{two}' now\)\. Choose another"
    with pytest.raises(StateError, match=message):
        make_tokenizer(corpora[1], BPE, folder, Silent())
    larger = BPE.model_copy(update={"vocab_size": 20})
    with pytest.raises(StateError, match=r"settings: vocab_size \(16 there, 20 now\)\. Choose"):
        make_tokenizer(corpora[0], larger, folder, Silent())
    make_tokenizer(corpora[1], BPE, tmp_path / "other", Silent())
    shutil.copy(tmp_path / "other" / "tokenizer.json", folder)
    with pytest.raises(StateError, match=r"settings: tokenizer\.json \('.{12}' there, '.{12}' now"):
        make_tokenizer(corpora[0], BPE, folder, Silent())
    (folder / "tokenizer.json").write_bytes(before)
    make_tokenizer(corpora[0], BPE, folder, Silent())


def test_a_tokenizer_of_unknown_origin_needs_the_store_to_tell(corpora, tmp_path):
    folder = tmp_path / "tokenizer"
    made = make_tokenizer(corpora[0], BPE, folder, Silent())
    (folder / "manifest.json").unlink()
    with pytest.raises(StateError, match=r"no manifest\.json, so it is not known which corpus it"):
        make_tokenizer(corpora[0], BPE, folder, Silent())
    make_store(corpora[0], made, tmp_path / "store", Silent())
    assert make_tokenizer(corpora[0], BPE, folder, Silent()).sha256 == made.sha256
    with pytest.raises(StateError, match=r"store: made before with other .*: corpus \("):
        make_store(corpora[1], made, tmp_path / "store", Silent())


def test_the_book_reads_soft_masked_bases(corpora, tmp_path, caplog):
    tokenizer = make_tokenizer(corpora[0], BOOK, tmp_path / "tokenizer", Silent())
    with caplog.at_level("INFO"):
        store = make_store(corpora[0], tokenizer, tmp_path / "store", Silent())
        letters = make_letters(corpora[0], tokenizer, tmp_path / "letters", Silent())
    assert caplog.text.count("soft-masked bases are given in upper case") == 2
    order = json.loads((tmp_path / "tokenizer" / "tokenizer.json").read_text())["model"]["vocab"]
    for split in ("train", "validation"):
        sequences = list(corpora[0].iter_sequences(split))
        assert any(letter.islower() for sequence in sequences for letter in sequence)
        expected = [order[letter] for sequence in sequences for letter in sequence.upper()]
        documents = store.split(split)
        found = [documents.document(i) for i in range(documents.num_documents)]
        assert np.concatenate(found).tolist() == expected
        copied = letters.split(split)
        assert copied.tokens(0, copied.num_tokens).tobytes().decode() == "".join(sequences)
        assert order["[UNK]"] not in expected
