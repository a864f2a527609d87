"""What a tokenizer is trained on: FASTA, text and corpora, told apart by what is in them."""

import gzip
import os
import threading

import pytest

from helixlm.data import unfinished
from helixlm.data.corpus.base import open_corpus
from helixlm.data.corpus.prepare import prepare_corpus
from helixlm.data.folder import MANIFEST
from helixlm.data.formats.fasta import FastaError
from helixlm.data.sources import Source
from helixlm.data.splits import SplitConfig
from helixlm.data.windows import FixedWindows
from helixlm.errors import InputError, StateError
from helixlm.pipeline.prepare import PAGE, TEXT, prepare, train_tokenizer, training_sequences
from helixlm.report.corpus import describe_corpus, render_corpus
from helixlm.rng import CounterRng
from helixlm.tokenizers.base import TokenizerConfig
from helixlm.tokenizers.bpe_train import train_bpe, train_bpe_by_parts

WINDOWS = ["windows.kind=fixed", "windows.length_bp=100"]


def letters(seed, count):
    return "".join("ACGT"[i] for i in CounterRng("letters", seed).integers(0, 4, count))


def test_text_is_used_line_by_line(tmp_path):
    (tmp_path / "a.txt").write_text("ACGT\nnnAC\n")
    (tmp_path / "b.fa").write_bytes(gzip.compress(b"TTT\n"))  # the name says nothing
    assert list(training_sequences([tmp_path / "a.txt", tmp_path / "b.fa"])) == [
        "ACGT", "nnAC", "TTT",
    ]  # fmt: skip


def test_fasta_is_cut_into_lines_and_no_base_is_lost(tmp_path):
    first, second = letters(0, 2500), letters(1, 60)
    (tmp_path / "a.txt").write_text(f">chr1\n{first[:1300]}\n{first[1300:]}\n>b\n{second}\n")
    lines = list(training_sequences([tmp_path / "a.txt"]))
    assert lines == [first[:1000], first[1000:2000], first[2000:], second]
    longer = list(training_sequences([tmp_path / "a.txt"], 12_200))
    assert longer == [first, second]


def test_n_is_left_out_of_fasta(tmp_path):
    (tmp_path / "a.fa").write_text(">a\nACGTnnNNac\nNNRT\n>b\nNNNN\n")
    assert list(training_sequences([tmp_path / "a.fa"])) == ["ACGT", "ac", "RT"]
    (tmp_path / "n.fa").write_text(">a\nNNNN\nnn\n>b\nN\n")
    with pytest.raises(InputError, match=r"n\.fa: holds no letter but N, expected sequences"):
        list(training_sequences([tmp_path / "n.fa"]))


def test_short_records_are_trained_on(tmp_path):
    records = [letters(i, 200) for i in range(100)]
    (tmp_path / "a.fa").write_text("".join(f">r{i}\n{r}\n" for i, r in enumerate(records)))
    config = TokenizerConfig(vocab_size=60, min_frequency=2)
    made = train_tokenizer([tmp_path / "a.fa"], tmp_path / "whole", config)
    assert made.sha256 == train_bpe(records, vocab_size=60, min_frequency=2).sha256
    made = train_tokenizer([tmp_path / "a.fa"], tmp_path / "short", config, line_bp=7)
    lines = [r[at : at + 7] for r in records for at in range(0, 200, 7)]
    assert made.sha256 == train_bpe(lines, vocab_size=60, min_frequency=2).sha256


def test_a_corpus_gives_its_training_windows(world, tmp_path):
    prepare("demo", tmp_path / "corpus", fasta=[world.fasta()])
    found = list(training_sequences([tmp_path / "corpus"]))
    assert found == list(open_corpus(tmp_path / "corpus").iter_sequences("train"))
    assert len(found) > 2


@pytest.mark.parametrize("instant", ["sync_tree", "sync_path"])
def test_a_corpus_has_its_page_from_the_first_instant(tmp_path, monkeypatch, instant):
    """Killed when all is written, and when the folder has got its name; then begun again."""
    (tmp_path / "a.fa").write_text(f">chr1\n{letters(2, 3000)}\n>chr2\n{letters(3, 900)}\n")

    def made(name):
        options = [*WINDOWS, "split.validation_contigs=[chr2]"]
        prepare("demo", tmp_path / name, fasta=[tmp_path / "a.fa"], overrides=options)
        return {file: (tmp_path / name / file).read_bytes() for file in (PAGE, TEXT, MANIFEST)}

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(unfinished, instant, lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        made("killed")
    assert (tmp_path / "killed").exists() == (instant == "sync_path")
    if instant == "sync_path":
        assert {PAGE, TEXT} < {path.name for path in (tmp_path / "killed").iterdir()}
    assert made("killed") == made("whole")
    # As whoever opens it reads it, whether it was just made or was there.
    manifest = open_corpus(tmp_path / "whole").manifest
    assert (tmp_path / "whole" / TEXT).read_text() == describe_corpus(manifest) + "\n"
    assert (tmp_path / "whole" / PAGE).read_text() == render_corpus(manifest)


def test_a_corpus_without_a_page_gets_one(tmp_path):
    (tmp_path / "a.fa").write_text(f">chr1\n{letters(2, 3000)}\n>chr2\n{letters(3, 900)}\n")
    windows = FixedWindows(length_bp=50)
    split = SplitConfig(validation_contigs=("chr2",))
    source = Source(fasta=tmp_path / "a.fa")
    manifest = prepare_corpus([source], tmp_path / "c", windows=windows, split=split)
    assert not (tmp_path / "c" / PAGE).exists()
    options = [*WINDOWS, "windows.length_bp=50", "split.validation_contigs=[chr2]", "seed=0"]
    prepare("demo", tmp_path / "c", fasta=[tmp_path / "a.fa"], overrides=options)
    assert (tmp_path / "c" / PAGE).read_text() == render_corpus(manifest)


def test_a_pipe_is_taken_for_fasta(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=[f">chr1\n{letters(0, 3000)}\n"])
    writer.start()
    assert len(list(training_sequences([pipe]))) > 2
    writer.join()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"@read\nACGT\n", "in:1: not FASTA: found FASTQ or SAM"),
        (b"PAR1...", "in:1: not FASTA: found Parquet"),
        (b"hello\n", "in:1: column 2: found 'e', expected one sequence on each line"),
        (b"ACGT\nACZ\n", "in:2: column 3: found 'Z', expected one sequence on each line"),
        (b"12 ACGT\n", "in:1: not FASTA: found '12 ACGT'"),
        (b"", "in: empty file"),
    ],
)
def test_a_file_of_neither_kind(tmp_path, content, message):
    (tmp_path / "in").write_bytes(content)
    with pytest.raises(FastaError, match=message):
        list(training_sequences([tmp_path / "in"]))


def test_no_input(tmp_path):
    with pytest.raises(InputError, match="no such file or folder, expected FASTA, a text with"):
        list(training_sequences([tmp_path / "none"]))
    with pytest.raises(StateError, match="expected the manifest of a helixlm corpus"):
        list(training_sequences([tmp_path]))


def test_a_genome_without_a_soft_mask_has_no_repeats_to_leave_out(tmp_path, caplog):
    text = letters("unmasked", 9000)
    kind = ["windows.kind=repeatfree", "windows.length_bp=500", "split.by=block"]
    for name, masked in (("upper", text), ("masked", text[:8000] + text[8000:].lower())):
        caplog.clear()
        (tmp_path / f"{name}.fa").write_text(f">one\n{masked}\n")
        overrides = [*kind, "split.block_bp=1000"]
        prepare("dnagrinder", tmp_path / name, fasta=[tmp_path / f"{name}.fa"], overrides=overrides)
        assert ("no base is in lower case" in caplog.text) == (name == "upper")


@pytest.mark.parametrize(
    ("bases_of_n", "settings", "advice"),
    [
        (6000, "kind=pieces overlap_bp=0 chunk_bp=1000", "--set windows.n=drop (windows.max_n_f"),
        (6000, "kind=fixed length_bp=1000 n=keep", "--set windows.n=drop (windows.max_n_fraction"),
        (6000, "kind=fixed length_bp=1000 max_n_fraction=1", "max_n_fraction (now 1)"),
        (6000, "kind=dnabert n=keep", "--set windows.n=split"),
        (4000, "kind=pieces overlap_bp=0 chunk_bp=1000", None),
        (6000, "kind=pieces overlap_bp=0 chunk_bp=1000 n=drop", None),
    ],
)
def test_windows_that_are_mostly_n(tmp_path, caplog, bases_of_n, settings, advice):
    text = "N" * bases_of_n + letters("known", 10_000 - bases_of_n)
    (tmp_path / "in.fa").write_text(f">one\n{text}\n>two\n{text}\n")
    overrides = [f"windows.{setting}" for setting in settings.split()]
    prepare("tinydnabert", tmp_path / "out", fasta=[tmp_path / "in.fa"], overrides=overrides)
    warnings = [r.getMessage() for r in caplog.records if "are N" in r.getMessage()]
    if advice is None:
        assert not warnings
    else:
        [warning] = warnings
        assert warning.startswith("60.0 % of the letters in the windows are N, from which nothing")
        assert advice in warning


def test_iterative_takes_each_file_as_a_part(tmp_path):
    files = [tmp_path / name for name in ("a.txt", "b.txt")]
    for seed, path in enumerate(files):
        path.write_text("\n".join(letters(100 * seed + i, 200) for i in range(20)))
    config = TokenizerConfig(method="iterative", vocab_size=60, min_frequency=2)
    made = train_tokenizer(files, tmp_path / "t", config, memory_bytes=10**8, threads=1)
    parts = [path.read_text().split() for path in files]
    expected = train_bpe_by_parts(parts, vocab_size=60, min_frequency=2)
    assert made.sha256 == expected.sha256
