"""`helixlm leaks` as a user meets it: exit status, table, examples and messages."""

import pytest

from helixlm.data.corpus.prepare import prepare_corpus
from helixlm.data.sources import Source
from helixlm.data.splits import SplitConfig
from helixlm.data.windows import TinyDnabertWindows
from helixlm.rng import CounterRng
from helixlm.seq.ops import reverse_complement


def random_dna(name, length):
    return "".join("ACGT"[code] for code in CounterRng("test", name).integers(0, 4, length))


def write(path, records):
    path.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in records.items()))
    return path


def test_help_has_an_example(helixlm):
    status, out, _ = helixlm("leaks", "--help")
    assert status == 0
    assert "Example: helixlm leaks" in out


def test_a_corpus(helixlm, tmp_path):
    shared = random_dna("shared", 300)
    for copies, status in ((0, 0), (1, 3)):
        genome = {name: random_dna(name, 3000) + shared * copies for name in ("chr1", "chr2")}
        corpus = tmp_path / f"corpus{copies}"
        prepare_corpus(
            [Source(fasta=write(tmp_path / "genome.fa", genome))],
            corpus,
            split=SplitConfig(validation_contigs=("chr2",)),
            windows=TinyDnabertWindows(min_bp=50, max_bp=100),
        )
        found, out, err = helixlm("leaks", corpus)
        assert found == status, err
        lines = out.splitlines()
        assert [line.split()[0] for line in lines[:7]] == [
            "kind", "overlapping", "identical", "reverse", "contained", "near", "windows",
        ]  # fmt: skip
        assert lines[1].split() == ["overlapping", "0", "0"]
        if copies:
            *_, verdict, following = lines
            assert verdict.startswith("leaks: ")
            assert following.startswith("Next: write the corpus anew with --set split.by=group, ")
            assert "--set duplicates.remove=near" in following
        else:
            assert lines[-1].startswith("clean: no leaks among ")
        assert ("training chr1:3" in out) == bool(copies)


def test_files(helixlm, tmp_path):
    held_out = random_dna("held out", 200)
    train = tmp_path / "train.csv"
    train.write_text(
        f"sequence,label\n{random_dna('a', 200)},1\n{reverse_complement(held_out)},0\n"
    )
    test = write(tmp_path / "test.fa", {"r1": held_out, "r2": random_dna("b", 200)})
    more = write(tmp_path / "more.fa", {"r3": random_dna("c", 200)})
    status, out, err = helixlm("leaks", "--train", train, more, "--validation", test)
    assert status == 3, err
    assert "overlapping" not in out
    assert "training train.csv:3 is the reverse complement of validation r1" in out
    verdict, following = out.splitlines()[-2:]
    assert verdict == "leaks: 1 of 3 (33 %) training and 1 of 2 (50 %) validation windows"
    assert following.startswith("Next: take out of training the sequences that are like one of")
    assert helixlm("leaks", "--train", more, "--validation", test)[0] == 0
    short = write(tmp_path / "short.fa", {"r4": "ACGTTGCA", "r5": random_dna("d", 50)})
    status, out, _ = helixlm("leaks", "--train", short, "--validation", test)
    assert status == 4
    assert out.splitlines()[-1] == (
        "unclear: no leaks found among 2 training and 2 validation windows (1 training windows "
        "hold no k-mer (too short, or too much N): they may be contained or near)"
    )


@pytest.mark.parametrize(
    "arguments", [[], ["corpus", "--train", "a.fa"], ["--train", "a.fa"], ["--validation", "a.fa"]]
)
def test_what_to_compare_must_be_said_once(helixlm, arguments):
    status, _, err = helixlm("leaks", *arguments)
    assert status == 1
    assert "leaks: expected a corpus, or both --train and --validation" in err


def test_of_a_run_the_corpus_inside_is_named(helixlm, tmp_path):
    (tmp_path / "run" / "corpus").mkdir(parents=True)
    (tmp_path / "run" / "corpus" / "manifest.json").touch()
    status, _, err = helixlm("leaks", tmp_path / "run")
    assert status == 1
    assert f"run: a run, expected a corpus: give the one inside, {tmp_path}/run/corpus" in err


def test_a_missing_file_is_one_line_and_status_1(helixlm, tmp_path):
    status, _, err = helixlm("leaks", "--train", tmp_path / "a.fa", "--validation", "b.fa")
    assert status == 1
    assert err.count("error:") == 1
    status, _, err = helixlm("leaks", tmp_path / "none")
    assert status == 1
    assert "expected the manifest of a helixlm corpus" in err
