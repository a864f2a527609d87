"""The published tokenizer of DNABERT-2, from its own file, against its test vector and itself.

Its ids on genomes are compared with those of the `tokenizers` library in test_tokenizers.py.
"""

import json
import shutil

from helixlm.tokenizers.bpe import bpe_tokenizer
from helixlm.tokenizers.hf import load_tokenizer

README_SEQUENCE = "ACGTAGCATCGGATCTATCTATCGACACTTGGTTATCGATCTACGAGCATCTCGTTAGC"
README_IDS = [1, 5, 194, 32, 757, 1239, 2092, 294, 24, 359, 88, 93, 32, 75, 77, 19, 2]


def test_dnabert2_reads_its_readme_sequence(published, tmp_path):
    ours = load_tokenizer(published)
    assert ours.add_special(ours.encode(README_SEQUENCE)).tolist() == README_IDS
    assert (ours.vocab_size, ours.special) == (4096, (1, 2, 0, 3, 4))
    assert ours.keeps_case
    assert int(ours.token_bp.max()) == 32
    assert ours.decode(ours.encode(README_SEQUENCE)) == README_SEQUENCE
    shutil.copy(published, tmp_path / "tokenizer.json")
    ours.save(tmp_path / "copy")
    assert (tmp_path / "copy" / "tokenizer.json").read_bytes() == published.read_bytes()


def test_a_vocabulary_trained_by_the_preset_has_its_layout(published):
    """Same file but for vocabulary and merges, as far as both write the same version."""
    theirs = json.loads(published.read_text())
    merges = load_tokenizer(published).merges
    ours = json.loads(bpe_tokenizer(merges, special_order="dnabert2")._text)
    assert ours["model"]["vocab"] == theirs["model"]["vocab"]
    assert ours["pre_tokenizer"] == theirs["pre_tokenizer"]
    assert ours["normalizer"] == theirs["normalizer"]
    assert ours["post_processor"]["single"] == theirs["post_processor"]["single"]
    assert ours["post_processor"]["pair"] == theirs["post_processor"]["pair"]
