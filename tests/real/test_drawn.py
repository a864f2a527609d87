"""Windows drawn from human pieces as Nucleotide Transformer cuts them, at the published sizes."""

import gzip

import numpy as np
import pytest
from scipy.stats import chisquare
from tokenizers import Tokenizer

from helixlm.data.letters import open_letters, write_letters
from helixlm.pipeline.stages import vocabulary_of
from helixlm.tokenizers.hf import load_tokenizer
from helixlm.tokenizers.kmer import nt_tokenizer
from helixlm.train.batches import BatchConfig, Sample
from helixlm.train.drawn import DrawnRows


def nt_pieces(sequence, core_bp):
    """The loop of InstaDeepAI/multi_species_genomes, with 100 bp on each side."""
    count = (len(sequence) - 200) // core_bp
    return [sequence[i * core_bp : (i + 1) * core_bp + 200] for i in range(count)]


@pytest.fixture(scope="module")
def stored(data, tmp_path_factory):
    """A store of pieces for each of both published lengths of windows."""
    stores = {}
    for core_bp in (12_000, 6_000):
        pieces = []
        for path in sorted((data / "human").glob("*.fa.gz")):
            for record in gzip.decompress(path.read_bytes()).decode().split(">")[1:]:
                pieces += nt_pieces(record.partition("\n")[2].replace("\n", ""), core_bp)
        # Where a window of a gap began cannot be told from its letters.
        pieces = [piece for piece in pieces if piece.upper().count("N") < 100]
        assert {len(piece) for piece in pieces} == {core_bp + 200}
        folder = tmp_path_factory.mktemp("letters") / str(core_bp)
        write_letters(folder, {"train": pieces}, corpus_sha256="c" * 64)
        stores[core_bp] = (open_letters(folder).split("train"), pieces)
    return stores


@pytest.mark.parametrize("core_bp", [12_000, 6_000])
@pytest.mark.parametrize("name", ["nt", "dnabert2"])
def test_rows_are_what_the_library_makes_of_the_windows(stored, published, name, core_bp):
    letters, pieces = stored[core_bp]
    tokenizer = nt_tokenizer(2) if name == "nt" else load_tokenizer(published)
    config = BatchConfig(packing="drawn", row_tokens=core_bp // 4, drawn_bp=core_bp)
    a_plan = DrawnRows(letters, config, vocabulary_of(tokenizer), tokenizer, 0)
    library = Tokenizer.from_file(str(published)) if name == "dnabert2" else tokenizer._library
    starts, epochs_differ = [], 0
    for number in range(2 * len(pieces)):
        piece, sample = number % len(pieces), Sample("train", 0, number)
        text = pieces[piece].upper()
        start = text.index(a_plan.window(piece, sample))
        starts.append(start)
        row = a_plan.row(piece, sample).ids_L
        special = (tokenizer.special.bos, tokenizer.special.eos)
        used = [x for x in row.tolist() if x not in (*special, tokenizer.special.pad)]
        expected = library.encode(text[start : start + core_bp], add_special_tokens=False).ids
        assert used == expected[: config.row_tokens - a_plan.vocabulary.num_added]
        if number >= len(pieces):
            epochs_differ += start != starts[piece]
    assert epochs_differ > 0.98 * len(pieces)
    assert chisquare(np.bincount(np.array(starts) // 20, minlength=10)).pvalue > 0.001
