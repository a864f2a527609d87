"""The table of error messages: each is provoked, and is then what the page says, word for word.

Those that take a broken machine are looked for in the source instead.
"""

import ast
import fcntl
import gzip
import re
import shutil
from pathlib import Path

import pysam
import pytest

import helixlm
from helixlm.errors import HelixError
from helixlm.rng import CounterRng

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "pretrain-your-genome.md"
TINY = (
    "train.steps=4", "train.warmup_steps=1", "train.log_every=2", "train.validate_every=2",
    "train.validation_rows=8", "train.checkpoint_every=2", "batches.rows=4", "train.micro_rows=4",
    "model.hidden_size=16", "model.num_layers=1", "model.num_heads=2",
    "model.intermediate_size=32", "tokenizer.vocab_size=40", "split.validation_contigs=[chr2]",
)  # fmt: skip
NOT_PROVOKED = {
    "a full disk, while data are prepared",
    "a full disk, in training",
}


def letters(count, seed):
    return "".join("ACGT"[i] for i in CounterRng("letters", seed).integers(0, 4, count))


GENOME = f">chr1\n{letters(6000, 1)}\n>chr2\n{letters(6000, 2)}\n".encode()


def table():
    """Return the rows of the page's table: what was given, and the message."""
    text = PAGE.read_text().partition("| the message says |")[2]
    return re.findall(r"^\| ([^|]+) \| `([^`]+)` \|", text, re.MULTILINE)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("messages")
    (folder / "genome.fa").write_bytes(GENOME)
    output = folder / "run"
    helixlm.pretrain("demo", output, fasta=[folder / "genome.fa"], overrides=TINY, device="cpu")
    return output


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prepare(content=GENOME, name="genome.fa", *overrides, more=()):
    if content is not None:
        Path(name).write_bytes(content)
    helixlm.prepare("demo", "corpus", fasta=[name, *more], overrides=overrides)


def bgzip_without_its_end():
    with pysam.BGZFile("genome.fa.gz", "wb") as file:
        file.write(GENOME)
    path = Path("genome.fa.gz")
    prepare(path.read_bytes()[:-28], "genome.fa.gz")  # the end marker is an empty block of 28 bytes


def two_files():
    Path("more.fa").write_bytes(b">chr1\nACGT\n")
    prepare(GENOME, "genome.fa", more=["more.fa"])


def resume(*overrides):
    helixlm.pretrain("run/recipe.yaml", "run", overrides=overrides, device="cpu")


def other_data():
    Path("genome.fa").write_bytes(GENOME.replace(b"A", b"C"))
    helixlm.pretrain("run/recipe.yaml", "run", fasta=["genome.fa"], device="cpu")


def in_use():
    with Path("run/.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        resume()


def cut(pattern):
    """Cut files of the run to 1,000 bytes."""
    paths = sorted(Path("run").glob(pattern))
    assert paths
    for path in paths:
        path.write_bytes(path.read_bytes()[:1000])


def unfinished():
    shutil.rmtree("run/model")
    helixlm.load("run")


def unfinished_classifier():
    Path("tuned").mkdir()
    Path("tuned/finetune.json").write_text("{}")
    helixlm.load("tuned")


def variants():
    Path("people.vcf").write_text("##fileformat=VCFv4.2\n")
    helixlm.predict("run", "people.vcf", "scores.csv")


def damaged_checkpoints():
    cut("checkpoints/*/model.safetensors")
    resume()


def damaged_model():
    cut("model/model.safetensors")
    helixlm.load("run")


def corpus_of_others():
    overrides = [*TINY, "split.validation_contigs=[chr1]"]
    helixlm.pretrain("demo", "other", corpus="run/corpus", overrides=overrides, device="cpu")


def not_a_number():
    overrides = [*TINY, "train.lr=1e30"]
    helixlm.pretrain("demo", "other", corpus="run/corpus", overrides=overrides, device="cpu")


def finetune(rows, *, dev=None, header="sequence,label"):
    Path("train.csv").write_text("\n".join([header, *rows, ""]))
    if dev is not None:
        Path("dev.csv").write_text("\n".join([header, *dev, ""]))
        helixlm.finetune("run", train="train.csv", dev="dev.csv", device="cpu")
    helixlm.finetune("run", train="train.csv", device="cpu")


ROWS = ["ACGTACGTTA,yes", "TTGACCATTA,no"] * 10
CASES = {
    "FASTA: no such file": lambda: prepare(None),
    "FASTA: empty file": lambda: prepare(b""),
    "FASTA: other text": lambda: prepare(b"Dear Sir\nwe send no genome\n"),
    "FASTA: gzip cut short": lambda: prepare(gzip.compress(GENOME)[:-900], "genome.fa.gz"),
    "FASTA: bgzip cut short": bgzip_without_its_end,
    "FASTA: a gap in the sequence": lambda: prepare(b">chr1\nACGT-ACGT\n"),
    "FASTA: protein": lambda: prepare(b">chr1\nMKLVEFQ\n"),
    "FASTA: a digit in the sequence": lambda: prepare(b">chr1\nACGT1ACGT\n"),
    "FASTA: one name twice": lambda: prepare(b">chr1\nACGT\n>chr1\nACGT\n"),
    "FASTA: a record without sequence": lambda: prepare(b">chr1\n>chr2\nACGT\n"),
    "FASTA: one name in two files": two_files,
    "an unknown contig to hold out": lambda: prepare(
        GENOME, "genome.fa", "split.validation_contigs=[chrX]"
    ),
    "all contigs to hold out": lambda: prepare(
        GENOME, "genome.fa", "split.validation_contigs=[chr1, chr2]"
    ),
    "one contig, split by contig": lambda: prepare(GENOME[:4000]),
    "blocks too long for the genome": lambda: prepare(
        GENOME[:4000], "genome.fa", "split.by=block", "split.block_bp=50000"
    ),
    "neither FASTA nor corpus": lambda: helixlm.pretrain("demo", "new"),
    "a corpus, and settings that are not its own": corpus_of_others,
    "an unknown recipe": lambda: helixlm.load_recipe("mine"),
    "a setting that does not exist": lambda: helixlm.load_recipe("demo", ["train.step=4"]),
    "BPE dropout without byte pairs": lambda: helixlm.load_recipe(
        "demo", ["batches.bpe_dropout=0.1", "tokenizer.kind=char"]
    ),
    "fewer steps than the warm-up has": lambda: helixlm.load_recipe("demo", ["train.steps=20"]),
    "a device that is not there": lambda: helixlm.finetune("run", train="t.csv", device="gpu"),
    "RUN with other settings": lambda: resume("train.lr=0.5"),
    "RUN with other data": other_data,
    "RUN in use": in_use,
    "RUN that is not finished": unfinished,
    "fine-tuning that is not finished": unfinished_classifier,
    "variants in place of sequences": variants,
    "all checkpoints damaged": damaged_checkpoints,
    "a damaged model": damaged_model,
    "a loss that is not a number": not_a_number,
    "labels: no column sequence": lambda: finetune(ROWS, header="seq,label"),
    "labels: FASTA in place of a table": lambda: finetune(["ACGT"], header=">one"),
    "labels: no label in a row": lambda: finetune([ROWS[0], "ACGT,"]),
    "labels: no sequence in a row": lambda: finetune([ROWS[0], ",yes"]),
    "labels: only one kind": lambda: finetune(ROWS[:8:2]),
    "labels: unseen in training": lambda: finetune(ROWS, dev=[ROWS[0], "ACGT,maybe"]),
    "a sequence too long for a classifier": lambda: finetune(
        [ROWS[0], f"{letters(3000, 3)},no", *ROWS]
    ),
}


def fits(message, found):
    """Whether a message is that of the page, where `...` and line breaks may be anything."""
    pattern = ".*".join(re.escape(part) for part in message.split("..."))
    return re.fullmatch(pattern, " ".join(found.split())) is not None


@pytest.mark.parametrize("given", CASES)
def test_the_message_is_that_of_the_page(given, run, workplace):
    shutil.copytree(run, workplace / "run")
    with pytest.raises(HelixError) as caught:
        CASES[given]()
    [message] = [message for what, message in table() if what == given]
    assert fits(message, str(caught.value)), f"{message}\n{caught.value}"


def test_one_damaged_checkpoint_is_passed_over(run, workplace, caplog):
    shutil.copytree(run, workplace / "run")
    newest = max(path.name for path in Path("run/checkpoints").iterdir())
    cut(f"checkpoints/{newest}/model.safetensors")
    resume()
    [message] = [message for what, message in table() if what == "one damaged checkpoint"]
    assert any(fits(message, record.getMessage()) for record in caplog.records), caplog.text


def test_rows_of_the_table_that_are_not_provoked_stand_in_the_source():
    assert {what for what, _ in table()} == {*CASES, *NOT_PROVOKED, "one damaged checkpoint"}
    known = messages()
    for what, message in table():
        if what in NOT_PROVOKED:
            assert any(message in text for text in known), message


def messages():
    """Return every text in the source, with `...` for what is filled in when it is shown."""
    found = []
    for path in (ROOT / "src" / "helixlm").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [p.value if isinstance(p, ast.Constant) else "..." for p in node.values]
                found.append("".join(parts))
    return found
