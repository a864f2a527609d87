"""The table of bad input to `helixlm prepare`: each row is provoked, through the command line.

A message is then what the page says, word for word; what is read all the same gives the windows
that were worked out by hand.
"""

import gc
import json
import random
import re
import resource
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.docs.bad_input import ACCEPTED, CHR17, REFUSED, fasta

from helixlm.cli.main import run
from helixlm.data.genome import Genome

PAGE = Path(__file__).parents[2] / "docs" / "messages.md"
OPTIONS = {"fa": "--fasta", "2bit": "--fasta", "vcf": "--vcf", "gff3": "--gff", "bed": "--bed"}
OPTIONS |= {"yaml": "--sources"}
WINDOWS = ("windows.kind=fixed", "windows.length_bp=120")
WINDOWS_AROUND = ("windows.kind=features", "windows.upstream_bp=9", "windows.downstream_bp=9")


def settings(values):
    """Return the options that change settings."""
    return [word for value in values for word in ("--set", value)]


CDS = {
    "empty file": b"",
    "other text": b"Dear Sir\n",
    "one name twice": b">one\nATG\n>one\nATG\n",
    "a record without sequence": b">one\n>two\nATG\n",
    "protein": b">one\nMKLVEFQ\n",
    "a place that is none": b">one cds chromosome:GRCh38:14:9:3:1\nATG\n",
}
DATASETS = {
    "no such column": (b"name,sequence\na,ACGT\n", "sequences"),
    "no column of DNA": (b"name,text\nx1,Dear Sir\n", None),
    "two columns of DNA": (b"left,right\nACGT,ACGT\n", None),
    "protein": (b"sequence\nMKLV\n", "sequence"),
    "no row": (b"sequence\n", None),
}
GENOME = {"genome.fa": fasta(), "cds.fa": b">one\nATG\n"}
RECORDS = {
    **{f"CDS FASTA: {what}": ({"cds.fa": text}, ["--cds", "cds.fa"]) for what, text in CDS.items()},
    **{
        f"dataset: {what}": (
            {"cds.csv": text},
            ["--dataset", "cds.csv", *([] if column is None else ["--column", column])],
        )
        for what, (text, column) in DATASETS.items()
    },
    "dataset: nothing there": ({}, ["--dataset", "cds.csv"]),
    "all: no sequence": ({}, []),
    "all: a genome and records": (GENOME, ["--fasta", "genome.fa", "--cds", "cds.fa"]),
    "all: an annotation of records": (
        {**GENOME, "genes.gff3": b"##gff-version 3\n"},
        ["--cds", "cds.fa", "--gff", "genes.gff3"],
    ),
    "all: a column without a dataset": (GENOME, ["--cds", "cds.fa", "--column", "sequence"]),
    "all: windows around features of records": (
        GENOME,
        ["--cds", "cds.fa", *settings(WINDOWS_AROUND)],
    ),
    **{
        f"bedGraph: {what}": (
            {**GENOME, "weights.bedgraph": text},
            ["--fasta", "genome.fa", "--weights", "weights.bedgraph", *settings(WINDOWS)],
        )
        for what, text in {
            "empty file": b"",
            "other text": b"Dear Sir\n",
            "a negative weight": b"chr17\t0\t9\t-1\n",
            "lines that overlap": b"chr17\t0\t9\t1\nchr17\t5\t12\t1\n",
            "contigs of another genome": b"scaffold_7\t0\t9\t1\n",
        }.items()
    },
    "weights.contigs: contigs of another genome": (
        GENOME,
        ["--fasta", "genome.fa", *settings([*WINDOWS, "weights.contigs={scaffold_7: 2}"])],
    ),
}
FULL = {
    "all: a full disk, while sequence is read": (50_000,),
    "all: a full disk, while windows are written": (
        110_000,
        "windows.length_bp=60",
        "windows.step_bp=1",
    ),
}
APART = {"all: killed at any moment", "all: one line of 250 Mbp"}


def table():
    """Return what the page says: what happens, by what is given."""
    text = PAGE.read_text().partition("| --- | --- | --- |\n")[2]
    rows = [re.split(r" (?<!\\)\| ", line.strip("| ")) for line in text.splitlines()]
    return {f"{file}: {given}": found.replace("\\|", "|") for file, given, found in rows}


def message_of(what):
    """Return the message that the page has, without its quotes."""
    [(_, message)] = re.findall(r"^(`+) ?(.*?) ?\1$", table()[what])
    return message


def fits(message, found):
    """Whether a message is that of the page, where `...` may be anything."""
    pattern = ".*".join(re.escape(part) for part in message.split("..."))
    return re.fullmatch(pattern, " ".join(found.split())) is not None


def options_of(files, overrides):
    """Write the files of a case; return the command that is given them."""
    if not any(name.split(".")[1] in ("fa", "2bit", "yaml") for name in files):
        files = {"genome.fa": fasta(), **files}
    command = ["prepare", "--recipe", "demo", "-o", "corpus", "--validation-contigs", "chr2"]
    lists = any(name.endswith(".yaml") for name in files)
    for name, content in files.items():
        if content is not None:
            Path(name).write_bytes(content)
        if not (lists and name in ("a.fa", "b.fa")):
            command += [OPTIONS[name.split(".")[1]], name]
    kind = () if any(x.startswith("windows.kind") for x in overrides) else WINDOWS
    return command + settings((*kind, *overrides))


def call(capsys, command):
    """Run a command; return its status and what it says."""
    try:
        run(command)
        status = 0
    except SystemExit as stop:
        status = stop.code or 0
    return status, capsys.readouterr().err


def windows():
    """Return the sequences of the training windows, read by pyarrow."""
    paths = sorted(Path("corpus/train").glob("*.parquet"))
    return [text for path in paths for text in pq.read_table(path)["sequence"].to_pylist()]


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_is_told_as_the_page_says(what, capsys):
    status, said = call(capsys, options_of(*REFUSED[what]))
    found = said.rpartition("error: ")[2]
    assert status == 1
    assert fits(message_of(what), found), f"{message_of(what)}\n{found}"
    assert not list(Path().glob("*corpus*")), "something was left behind"


@pytest.mark.parametrize("what", ACCEPTED)
def test_what_is_read_all_the_same(what, capsys, caplog):
    files, expected, left_out, settings, said = ACCEPTED[what]
    status, errors = call(capsys, options_of(files, settings))
    assert status == 0, errors
    assert said in caplog.text
    assert windows() == expected
    [source] = json.loads(Path("corpus/manifest.json").read_text())["sources"]
    tally = source["tallies"]["train"]
    found = tally["dropped"] | tally["skipped_variants"] | tally["lost_features"]
    assert {reason: count for reason, count in found.items() if count} == left_out
    assert table()[what]


@pytest.mark.filterwarnings(
    "ignore:unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("what", RECORDS)
def test_records(what, capsys):
    files, options = RECORDS[what]
    for name, content in files.items():
        Path(name).write_bytes(content)
    status, said = call(capsys, ["prepare", "--recipe", "book", "-o", "corpus", *options])
    gc.collect()  # a stream that is not read to its end keeps its file open inside of `datasets`
    found = said.rpartition("error: ")[2]
    assert status == 1
    assert fits(message_of(what), found), f"{message_of(what)}\n{found}"
    assert not list(Path().glob("*corpus*")), "something was left behind"


def test_every_row_of_the_page_is_provoked():
    assert set(table()) == {*REFUSED, *ACCEPTED, *RECORDS, *FULL, *APART}


@pytest.mark.parametrize("what", FULL)
def test_a_full_disk(what, capsys):
    """The system's limit on the size of a file stands for a disk that is full."""
    most_bytes, *settings = FULL[what]
    letters = "".join(random.Random(1).choices("ACGT", k=100_000))
    command = options_of({"genome.fa": fasta(letters)}, settings)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        status, said = call(capsys, command)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert status == 1
    assert fits(message_of(what), said.rpartition("error: ")[2]), said
    assert not Path("corpus").exists()
    assert call(capsys, command)[0] == 0
    assert windows()[0] == letters[: len(windows()[0])]
    assert not Path(".corpus.unfinished").exists()


def test_killed_at_any_moment(capsys):
    """Killed as soon as there is something on the disk, then begun again."""
    command = options_of({"genome.fa": fasta(CHR17 * 100_000)}, ())
    process = subprocess.Popen(
        [sys.executable, "-m", "helixlm", *command],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    while not list(Path().glob(".corpus.unfinished/scratch/*")):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not Path("corpus").exists()
    assert call(capsys, command)[0] == 0
    assert windows() == [CHR17] * 100_000
    whole = ["whole" if word == "corpus" else word for word in command]
    assert call(capsys, whole)[0] == 0
    for path in Path("whole").glob("*/*.parquet"):
        assert path.read_bytes() == Path("corpus", *path.parts[1:]).read_bytes()


def test_one_long_line_takes_little_memory():
    num_bases = 40_000_000
    Path("line.fa").write_bytes(b">chr1\n" + b"ACGTacgtNN" * (num_bases // 10))
    tracemalloc.start()
    try:
        with Genome.from_fasta(["line.fa"], "genome") as genome:
            peak = tracemalloc.get_traced_memory()[1]
            assert genome.contigs == {"chr1": num_bases}
            assert genome.sequence("chr1", num_bases - 10, num_bases) == "ACGTacgtNN"
    finally:
        tracemalloc.stop()
    assert peak < num_bases / 2  # bytes
