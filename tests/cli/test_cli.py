"""The command line as a user meets it: help, exit status, messages, and one job end to end."""

import contextlib
import csv
import io
import json
import logging
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pysam
import pytest
from rich.console import Console
from tests.data.record_files import Cds, letters, write_cds, write_table

from helixlm.cli import progress
from helixlm.cli.main import LogLines, app, repeat_options
from helixlm.data.corpus.base import open_corpus
from helixlm.data.simulate import simulate, small_config
from helixlm.data.store import open_store
from helixlm.pipeline.prepare import tokenizer_command
from helixlm.pipeline.pretrain import pretrain
from helixlm.recipes.load import list_recipes, load_recipe
from helixlm.seq.ops import reverse_complement
from helixlm.tasks import finetune

VERBS = [
    "demo",
    "simulate",
    "recipes",
    "prepare",
    "coding",
    "push",
    "pretrain",
    "finetune",
    "predict",
    "download",
    "doctor",
]
TINY = {
    "train.steps": 6,
    "train.warmup_steps": 1,
    "train.log_every": 2,
    "train.validate_every": 3,
    "train.validation_rows": 8,
    "train.checkpoint_every": 3,
    "batches.rows": 4,
    "train.micro_rows": 4,
    "model.hidden_size": 16,
    "model.num_layers": 1,
    "model.num_heads": 2,
    "model.intermediate_size": 32,
    "finetune.max_steps": 4,
    "finetune.warmup_steps": 1,
    "finetune.eval_every": 2,
}
TINY_OPTIONS = [part for key, value in TINY.items() for part in ("--set", f"{key}={value}")]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("world") / "world", small_config(seed=5))


def test_help_is_fast_and_has_an_example_for_every_verb():
    script = (
        "import sys; from helixlm.cli.main import run\n"
        "try: run(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'sklearn', 'pyarrow', 'pysam'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(verb in done.stdout for verb in [*VERBS, "tokenizer"])


@pytest.mark.parametrize(
    "verb", [*VERBS, "tokenizer train", "tokenizer encode", "tokenizer report"]
)
def test_every_verb_has_help_with_an_example(helixlm, verb):
    status, out, _ = helixlm(*verb.split(), "--help")
    assert status == 0
    assert f"Example: helixlm {verb}" in out


def test_no_verb_shows_help_and_an_unknown_one_is_refused(helixlm):
    status, out, err = helixlm()
    assert "Commands" in out + err
    status, _, err = helixlm("fly")
    assert status == 2
    assert "fly" in err


def test_version(helixlm):
    status, out, _ = helixlm("--version")
    assert status == 0
    assert out.startswith("helixlm 0.")


def test_several_values_after_one_option():
    given = ["pretrain", "--fasta", "a", "b", "--set", "x=1", "-o", "run"]
    assert repeat_options(given) == [
        "pretrain", "--fasta", "a", "--fasta", "b", "--set", "x=1", "-o", "run",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # the short options
        ("pretrain -f a b -o run", "pretrain -f a -f b -o run"),
        ("tokenizer report t -i a b", "tokenizer report t -i a -i b"),
        ("tokenizer report t -ia b", "tokenizer report t -ia -i b"),
        ("tokenizer report t --input=a b", "tokenizer report t --input=a --input b"),
        # what must stand by itself is not a value
        ("tokenizer report -i corpus t", "tokenizer report -i corpus t"),
        ("tokenizer report --input a b t", "tokenizer report --input a --input b t"),
        ("finetune --seeds 0 1 run --truncate", "finetune --seeds 0 --seeds 1 run --truncate"),
        ("finetune --truncate run --seeds 0 1", "finetune --truncate run --seeds 0 --seeds 1"),
        ("--debug tokenizer report -i a t", "--debug tokenizer report -i a t"),
        # options of one value
        ("predict -i a t -o b", "predict -i a t -o b"),
        ("predict t -i a b -o c", "predict t -i a b -o c"),
        # nothing to repeat
        ("pretrain -f a -- b c", "pretrain -f a -- b c"),
        ("pretrain -f", "pretrain -f"),
        ("fly -f a b", "fly -f a b"),
        ("tokenizer", "tokenizer"),
        ("--help", "--help"),
        ("", ""),
    ],
)
def test_which_words_are_values(given, expected):
    assert repeat_options(given.split()) == expected.split()


def test_an_empty_value_stays():
    given = ["prepare", "--species", "", "-f", "a", "b"]
    assert repeat_options(given) == ["prepare", "--species", "", "-f", "a", "-f", "b"]


def test_several_files_reach_the_verb(helixlm, world, tmp_path):
    names = ["one.fa", "two.fa"]
    for name in names:
        sequence = world.fasta().read_text().split(">")[1].split("\n", 1)[1]
        (tmp_path / name).write_text(f">{name[:3]}\n{sequence}")
    files = [tmp_path / name for name in names]
    status, _, err = helixlm("prepare", "-r", "demo", "-f", *files, "-o", tmp_path / "corpus")
    assert status == 0, err
    manifest = json.loads((tmp_path / "corpus" / "manifest.json").read_text())
    (source,) = manifest["sources"]
    assert [list(file["contigs"]) for file in source["inputs"]] == [["one"], ["two"]]


def test_coding_sequences_and_a_column_reach_the_verb(helixlm, tmp_path):
    records = [
        Cds(f"T{i}", letters(i, 60), (f"{i % 3}", 100 * i, 100 * i + 60, "+")) for i in range(9)
    ]
    cds = write_cds(tmp_path / "a.fa", records)
    table = write_table(tmp_path / "a.parquet", records)
    held_out = ("--validation-contigs", "2")
    coding = ("--set", "windows.kind=coding")
    status, out, err = helixlm("prepare", "--cds", cds, *held_out, *coding, "-o", tmp_path / "c")
    assert status == 0, err
    assert "6 windows with 360 bp for training" in out
    assert "from 9 records in 1 file" in out
    options = ("--column", "sequence", "--dataset-split", "train", "--set", "split.by=group")
    status, out, err = helixlm(
        "prepare", "--dataset", table, *options, *coding, "-o", tmp_path / "d"
    )
    assert status == 0, err
    assert "from 9 records in 1 file" in out


@pytest.mark.parametrize(
    ("recipe", "settings", "following"),
    [
        ("tinydnabert", [], "pretrain --recipe tinydnabert-mini --corpus {} -o RUN"),
        ("tinydnabert-mini", [], "pretrain --recipe tinydnabert-mini --corpus {} -o RUN"),
        ("demo", [], "pretrain --recipe demo --corpus {} -o RUN"),
        ("book", ["windows.kind=fixed", "windows.length_bp=300"],
         "pretrain --recipe book-mini --corpus {} -o RUN"),
        ("nt", ["windows.chunk_bp=300", "model=null"],
         "tokenizer train --preset nt-v2 -o TOKENIZER"),
    ],
)  # fmt: skip
def test_what_comes_next_fits_the_recipe(helixlm, world, tmp_path, recipe, settings, following):
    corpus = tmp_path / "corpus"
    changes = [word for setting in settings for word in ("--set", setting)]
    status, out, err = helixlm(
        "prepare", "--recipe", recipe, "--fasta", world.fasta(), *changes, "-o", corpus
    )
    assert status == 0, err
    assert f"\nNext: helixlm {following.format(corpus)}\n" in out
    assert ("has no model" in out) == (recipe == "nt")


@pytest.mark.parametrize("recipe", list_recipes())
def test_the_command_of_a_tokenizer_makes_that_of_the_recipe(recipe, tmp_path, monkeypatch):
    """It is given to the command line, which builds its configuration from the options."""
    config = load_recipe(recipe).tokenizer
    made = []
    monkeypatch.setattr(
        "helixlm.pipeline.prepare.train_tokenizer",
        lambda inputs, output, config, **how: made.append((inputs, config)),
    )
    _, *words = shlex.split(tokenizer_command(config, "corpus"))
    with pytest.raises(AttributeError):  # there is no tokenizer to describe
        app(repeat_options([*words, "-o", str(tmp_path / "t")]), standalone_mode=False)
    assert made == [([Path("corpus")] if config.needs_text else [], config)]


def test_leaks_are_warned_of_and_the_cures_work(helixlm, tmp_path, caplog):
    """Six different sequences, each on three of six chromosomes, one copy of them turned."""
    texts = [letters(i // 3, 60) for i in range(18)]
    texts[::3] = map(reverse_complement, texts[::3])
    cds = write_cds(
        tmp_path / "a.fa",
        [
            Cds(f"T{i}", text, (f"{i % 6}", 1000 * i, 1000 * i + 60, "+"))
            for i, text in enumerate(texts)
        ],
    )
    common = ("prepare", "--cds", cds, "--set", "windows.kind=coding")
    status, out, err = helixlm(*common, "--validation-contigs", "2", "-o", tmp_path / "leaks")
    assert status == 0, err
    (warning,) = (record.getMessage() for record in caplog.records)
    assert warning.startswith("6 of 15 training windows share their place or their sequence with")
    for cure in ("split.by=group", "duplicates.remove=exact"):
        caplog.clear()
        assert f"--set {cure}" in warning
        status, out, err = helixlm(*common, "--set", cure, "-o", tmp_path / cure)
        assert status == 0, err
        assert " 0 have the sequence of one, 0 its reverse complement" in out
        assert not caplog.records


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "inputs: no sequence: expected fasta, cds or dataset, found none of them"),
        ("--cds a.fa --fasta b.fa", "inputs: found fasta and cds, expected one of fasta, cds and"),
        ("--dataset a/b --gff g.gff3", "inputs: found gff beside dataset, and no genome that they"),
        ("--cds a.fa --column x", "inputs: found column or dataset_split, expected a dataset"),
        ("--sources s.yaml --cds a.fa", "give it alone, without --cds"),
    ],
)
def test_inputs_that_do_not_go_together(helixlm, tmp_path, options, message):
    status, _, err = helixlm("prepare", *options.split(), "-o", tmp_path / "c")
    assert status == 1
    assert message in " ".join(err.split())


def test_recipes_are_listed_and_printed(helixlm):
    _, out, _ = helixlm("recipes")
    assert "tinydnabert-mini" in out
    _, out, _ = helixlm("recipes", "tinydnabert")
    assert out.startswith("# TinyDNABERT as published")
    _, out, _ = helixlm("recipes", "tinydnabert", "--resolved")
    assert "type_vocab_size: 2" in out


def test_a_users_mistake_is_one_line_and_status_1(helixlm, tmp_path):
    missing = tmp_path / "none.fa"
    status, out, err = helixlm("pretrain", "--fasta", missing, "-o", tmp_path / "run")
    assert status == 1
    assert err.count("error:") == 1
    assert str(missing) in err
    assert "Traceback" not in out + err


def test_debug_shows_where_it_came_from(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "helixlm", "recipes", "nothing", "--debug"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "RecipeError" in done.stderr


@pytest.fixture(scope="module")
def trained(world, tmp_path_factory):
    """Return a tiny finished run."""
    output = tmp_path_factory.mktemp("trained") / "run"
    overrides = [f"{key}={value}" for key, value in TINY.items()]
    pretrain("demo", output, fasta=[world.fasta()], overrides=overrides, device="cpu")
    return output


def test_from_fasta_to_predictions(helixlm, world, tmp_path):
    contigs = ",".join(world.contigs_of_split("test"))
    run_folder = tmp_path / "run"
    status, out, err = helixlm(
        "pretrain", "--recipe", "demo", "--fasta", world.fasta(), "-o", run_folder,
        "--validation-contigs", contigs, "--device", "cpu", *TINY_OPTIONS,
    )  # fmt: skip
    assert status == 0, err
    assert f"Next: helixlm finetune {run_folder}" in out
    assert "; by counting: single tokens " in out  # as on the page
    assert (run_folder / "report.html").exists()
    tune = [x for x in TINY_OPTIONS if x != "--set" and x.startswith("finetune")]
    status, out, err = helixlm(
        "finetune", run_folder, "--train", world.task("promoter", "train"), "--dev",
        world.task("promoter", "dev"), "--test", world.task("promoter", "test"), "-o",
        tmp_path / "tuned", "--device", "cpu", *(p for x in tune for p in ("--set", x)),
    )  # fmt: skip
    assert status == 0, err
    assert "test mcc:" in out
    status, out, err = helixlm(
        "predict", tmp_path / "tuned", "--input", world.task("promoter", "test"), "-o",
        tmp_path / "labels.csv", "--device", "cpu",
    )  # fmt: skip
    assert status == 0, err
    rows = (tmp_path / "labels.csv").read_text().splitlines()
    tests = world.task("promoter", "test").read_text().splitlines()
    assert len(rows) == len(tests)
    assert f"Next: open {tmp_path / 'labels.csv'}" in out
    short = tmp_path / "short.fa"
    short.write_text(">a\nACGTTGCATTGACC\n")
    status, out, err = helixlm(
        "predict", run_folder, "-i", short, "-o", tmp_path / "tokens.csv", "--device", "cpu"
    )
    assert status == 0, err
    assert f"helixlm finetune {run_folder} --train" in out.partition("Next:")[2]


def test_methods(helixlm, trained, world, tmp_path):
    """One trained method needs no test file; several are compared."""
    common = [
        "finetune", trained, "--train", world.task("promoter", "train"), "--device", "cpu",
        *[x for key, value in TINY.items() if key.startswith("finetune")
          for x in ("--set", f"{key}={value}")],
    ]  # fmt: skip
    alone = tmp_path / "alone"
    status, out, err = helixlm(*common, "--methods", "scratch", "-o", alone)
    assert status == 0, err
    assert "dev mcc:" in out
    assert "test mcc:" not in out
    with (alone / "results.csv").open() as file:
        assert {row["method"] for row in csv.DictReader(file)} == {"scratch"}
    assert f"Next: helixlm predict {alone} --input" in out
    test = ["--test", world.task("promoter", "test")]
    both = tmp_path / "both"
    status, out, err = helixlm(
        *common, *test, "--methods", "kmer,scratch", "--seeds", 3, 4, "-o", both
    )
    assert status == 0, err
    assert f"Next: helixlm predict {both / 'scratch-seed3'} --input" in out
    assert (both / "scratch-seed3" / "model" / "config.json").exists()
    status, out, err = helixlm(*common, *test, "--methods", "majority", "-o", tmp_path / "majority")
    assert status == 0, err
    assert "Next: the same command with --methods all" in out


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_fine_tuning_that_is_stopped_says_what_comes_next(
    helixlm, trained, world, tmp_path, monkeypatch, number, status
):
    """Stopped in its fourth step; with a save at each evaluation, the last is of step 2."""
    command = [
        "finetune", trained, "--train", world.task("promoter", "train"), "--device", "cpu",
        "--test", world.task("promoter", "test"),
        *[x for key, value in TINY.items() if key.startswith("finetune")
          for x in ("--set", f"{key}={value}")],
    ]  # fmt: skip
    real = finetune.learning_rate
    stops = []

    def stopping(step, **options):
        if step == 3:
            stops.append(step)
            os.kill(os.getpid(), number)
        return real(step, **options)

    monkeypatch.setattr(finetune, "learning_rate", stopping)
    before = signal.getsignal(number)
    for name, more in (("one", ()), ("two", ("--seeds", 0, 1))):
        for seconds, said in (
            (60.0, "begins this training anew"),
            (0.0, "goes on from step 2, the last save"),
        ):
            monkeypatch.setattr(finetune, "SAVE_SECONDS", seconds)
            found, out, err = helixlm(*command, *more, "-o", tmp_path / name)
            assert found == status, err
            assert out == f"Stopped by {number.name}: the same command {said}\n"
    assert stops == [3, 3, 3, 3]
    assert signal.getsignal(number) == before
    status, _, err = helixlm("predict", tmp_path / "one", "-i", "a.fa", "-o", tmp_path / "p.csv")
    assert status == 1
    assert "fine-tuning that is not finished, so there is no model yet" in err
    monkeypatch.setattr(finetune, "learning_rate", real)
    steps = []
    monkeypatch.setattr(finetune.logger, "info", lambda text, *values: steps.append(text % values))
    found, out, err = helixlm(*command, "-o", tmp_path / "one")
    assert found == 0, err
    assert steps[0] == "resuming at step 2 of 4"


def test_regions_of_weight_0_are_left_out(helixlm, world, tmp_path):
    with pysam.FastaFile(str(world.fasta())) as genome:
        lengths = dict(zip(genome.references, genome.lengths, strict=True))
    regions = tmp_path / "regions.bedgraph"
    regions.write_text("".join(f"{name} 0 {bp // 2} 0\n" for name, bp in lengths.items()))
    common = ["prepare", "--recipe", "demo", "--fasta", world.fasta()]
    status, out, err = helixlm(*common, "--weights", regions, "-o", tmp_path / "corpus")
    assert status == 0, err
    assert "bases, windows that a weight below 1 left out" in out
    corpus = open_corpus(tmp_path / "corpus")
    assert all(w.end > lengths[w.contig] // 2 for w in corpus.iter_windows("train"))
    assert any(w.end <= lengths[w.contig] // 2 for w in corpus.iter_windows("validation"))
    regions.write_text("nowhere 0 9 1\n")
    status, out, err = helixlm(*common, "--weights", regions, "-o", tmp_path / "other")
    assert status == 1
    assert "regions.bedgraph:1: no contig 'nowhere': found" in err


def test_stage_by_stage_gives_the_same_store(helixlm, world, tmp_path):
    corpus, tokenizer, store = (tmp_path / name for name in ("corpus", "tokenizer", "store"))
    status, out, err = helixlm(
        "prepare", "--recipe", "demo", "--fasta", world.fasta(), "-o", corpus
    )
    assert status == 0, err
    assert "windows overlap validation windows" in out
    assert f"; for contained and near ones: helixlm leaks {corpus}\n" in out
    status, out, err = helixlm(
        "tokenizer", "train", "--input", corpus, "--vocab-size", 64, "-o", tokenizer
    )
    assert status == 0, err
    status, out, err = helixlm("tokenizer", "encode", tokenizer, "--input", corpus, "-o", store)
    assert status == 0, err
    assert "documents" in out
    assert f"Next: read it with helixlm.data.store.open_store({str(store)!r})" in out
    assert open_store(store).split("train").num_tokens > 0
    status, out, err = helixlm("tokenizer", "report", "--input", corpus, tokenizer)
    assert status == 0, err
    assert "bases" in out
    assert f"Next: helixlm tokenizer encode {tokenizer} --input {corpus} -o store" in out
    status, out, err = helixlm("tokenizer", "report", tokenizer, "-i", world.fasta())
    assert status == 0, err
    assert f"Next: helixlm prepare --fasta {world.fasta()} -o corpus" in out
    status, _, err = helixlm("tokenizer", "train", "--input", corpus, "-o", tokenizer)
    assert status == 1
    assert f"{tokenizer}: holds a tokenizer already (bpe, 64 tokens): use it as it is; to" in err
    status, _, err = helixlm(
        "tokenizer", "encode", tokenizer, "--input", world.fasta(), "-o", tmp_path / "x"
    )
    assert status == 1
    assert "expected one corpus folder" in err


def test_vocabularies_are_compared(helixlm, tmp_path):
    text = tmp_path / "lines.txt"
    text.write_text("ACGTACGGTCA\nTTTTACGACG\n" * 50)
    one, two, out = (tmp_path / name for name in ("one", "two", "out"))
    for folder, size in ((one, 12), (two, 14)):
        status, _, err = helixlm(
            "tokenizer", "train", "-i", text, "--vocab-size", size, "-o", folder
        )
        assert status == 0, err
    options = ("--input", text, "--sample-every", 1)
    status, said, err = helixlm("tokenizer", "report", one, two, *options)
    assert status == 0, err
    assert "text: 1,050 bases in 100 sequences" in said
    assert "Next: the same command with -o FOLDER" in said
    named = (*options, "--names", "small, large", "-o")
    status, said, err = helixlm("tokenizer", "report", one, two, *named, out)
    assert status == 0, err
    assert f"Wrote {out}" in said
    assert "small" in (out / "pairs.csv").read_text()
    status, _, err = helixlm("tokenizer", "report", one, two, *named, out)
    assert status == 1
    assert "the folder is not empty" in err
    status, _, err = helixlm("tokenizer", "report", one, one, *options)
    assert status == 1
    assert "this tokenizer is given twice" in err


def test_training_says_its_memory_and_keeps_to_it(helixlm, tmp_path):
    text = tmp_path / "lines.txt"
    text.write_text("ACGTACGGTCA\nTTTTACGACG\n" * 50)
    options = ("tokenizer", "train", "-i", text, "--vocab-size", 12, "--threads", 1)
    # In a process of its own: pytest takes the log lines of this one.
    command = [sys.executable, "-m", "helixlm", *map(str, options), "--memory", "40MB"]
    done = subprocess.run([*command, "-o", tmp_path / "t"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "INFO: training takes up to 40.0 MB of memory for 1050 bases" in done.stderr
    status, _, err = helixlm(*options, "--memory", "2KB", "-o", tmp_path / "u")
    assert status == 1
    assert (
        "2,000 bytes of memory are too small for 1,050 bases: at least 16,778,941 are needed" in err
    )


@pytest.mark.parametrize(
    "chosen", [["--methods", "all"], ["--methods", "kmer"], ["--seeds", "0", "1"]]
)
def test_a_comparison_needs_a_test_file(helixlm, tmp_path, chosen):
    status, _, err = helixlm("finetune", "m", "--train", "t.csv", *chosen, "-o", tmp_path / "x")
    assert status == 1
    assert "the baselines kmer and majority, are compared on test rows: give --test CSV" in err


@pytest.mark.parametrize("verb", ["pretrain", "finetune", "predict", "demo"])
def test_a_device_that_is_not_there(helixlm, tmp_path, verb):
    needed = {
        "pretrain": ["--fasta", "a.fa"],
        "finetune": ["m", "--train", "t.csv"],
        "predict": ["m", "--input", "a.fa"],
        "demo": [],
    }
    status, _, err = helixlm(verb, *needed[verb], "--device", "gpu", "-o", tmp_path / "out")
    assert status == 1
    assert err.splitlines()[-1] == "error: device 'gpu': expected cpu, cuda or cuda:N"
    assert not (tmp_path / "out").exists()


def test_an_error_of_ours_shows_a_traceback_and_asks_for_a_report(helixlm, monkeypatch):
    def fail():
        raise KeyError("not foreseen")

    monkeypatch.setattr("helixlm.recipes.load.list_recipes", fail)
    status, _, err = helixlm("recipes")
    assert status == 70
    assert "Traceback" in err
    assert "KeyError: 'not foreseen'" in err
    assert err.splitlines()[-1].startswith("error: this should not have happened: please report it")


def test_simulate(helixlm, tmp_path):
    status, _, _ = helixlm("simulate", "--small", "--seed", 3, "-o", tmp_path / "world")
    assert status == 0
    assert (tmp_path / "world" / "manifest.json").exists()


@pytest.mark.parametrize("compiler", [None, "/usr/bin/g++"])
def test_doctor_with_and_without_a_compiler(helixlm, monkeypatch, compiler):
    monkeypatch.setattr("helixlm.pipeline.machine.shutil.which", lambda name: compiler)
    status, out, err = helixlm("doctor")
    assert status == 0, out + err
    assert "All is well" in out
    assert ("recipes with train.compile: true need one" in out) == (compiler is None)
    [line] = [x for x in out.splitlines() if "  compiler for cpu  " in x]
    assert line.split()[0] == ("note" if compiler is None else "ok")


def test_doctor_fails_where_the_numbers_are_wrong(helixlm, monkeypatch):
    monkeypatch.setattr("helixlm.pipeline.doctor.TOLERANCE", 0.0)
    status, out, _ = helixlm("doctor")
    assert status == 1
    assert "FAIL  float32 on cpu" in out
    assert "check(s) failed; what to do:" in out
    assert "All is well" not in out


def test_progress_speaks_in_lines_where_there_is_no_terminal(monkeypatch, capsys):
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    terminal = progress.Terminal()
    with terminal.stage("Counting", 4) as update:
        for done in range(5):
            update(done, 4)
    with terminal.training("Training", 2) as advance:
        advance(1, 2, {"loss": 1.5, "bits_per_base": 1.9, "lr": 0.1, "tokens_per_second": 10.0})
    err = capsys.readouterr().err
    assert "Counting: 2 of 4, about" in err
    assert "Training: 1 of 2" in err
    assert "loss 1.500  1.900 bits/base  lr 0.1  10 tokens/s" in err
    assert "done in" in err


def test_a_line_of_progress_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    monkeypatch.setenv("COLUMNS", "80")
    metrics = {"loss": 4.251, "bits_per_base": 1.765, "lr": 0.00053, "tokens_per_second": 10470.0}
    with progress.Terminal().training("Training the tinydnabert-mini model", 5000) as advance:
        advance(1, 5000, metrics)
    [line] = [x for x in capsys.readouterr().err.splitlines() if "loss" in x]
    assert len(line) > 80
    assert line.endswith("loss 4.251  1.765 bits/base  lr 0.00053  10,470 tokens/s")


def test_log_lines_go_where_standard_error_is_now():
    """While rich draws a bar, it takes the place of standard error and writes lines above it."""
    record = logging.LogRecord("helixlm", logging.INFO, "", 0, "part %d", (1,), None)
    handler = LogLines()
    with contextlib.redirect_stderr(io.StringIO()) as taken:
        handler.emit(record)
    assert taken.getvalue() == "part 1\n"


def test_the_time_left_begins_anew_with_each_phase(monkeypatch, capsys):
    """Reading takes 100 s for 10 lines; merging then 1 s a merge, of which 8 are left."""
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    clock = iter([0.0, 100.0, 200.0, 201.0, 202.0, 300.0, 301.0, 302.0, 400.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.Terminal().stage("Training") as update:
        for call in [(5, None), (10, None), (1, 10), (2, 10), (0, 10), (1, 10), (5, None)]:
            update(*call)
    said = capsys.readouterr().err.splitlines()
    assert said[1:-1] == [
        "Training: 5",
        "Training: 10",
        "Training: 1 of 10",  # another total: nothing is known of its speed
        "Training: 2 of 10, about 8 s left",
        "Training: 0 of 10",  # the count fell back: the next part
        "Training: 1 of 10, about 9 s left",
        "Training: 5",
    ]


def test_a_bar_forgets_the_speed_of_an_earlier_phase(monkeypatch):
    terminal = progress.Terminal()
    terminal.console = Console(force_terminal=True, width=100, record=True)
    drawn = []
    real = progress.Progress

    def kept(*columns, **options):
        drawn.append(real(*columns, **options))
        return drawn[-1]

    monkeypatch.setattr(progress, "Progress", kept)
    with terminal.stage("Training") as update:
        for done in range(1, 6):
            update(done, 10)
        [task] = drawn[0].tasks
        assert task.speed is not None
        update(3, None)
        assert (task.total, task.completed, task.speed) == (None, 3, None)
        update(4, None)
        update(1, 10)
        assert (task.total, task.completed, task.speed) == (10, 1, None)
        update(10, 10)
        update(2, 10)
        assert (task.completed, task.finished, task.speed) == (2, False, None)


def test_progress_draws_bars_on_a_terminal(monkeypatch):
    terminal = progress.Terminal()
    terminal.console = Console(force_terminal=True, width=100, record=True)
    with terminal.stage("Counting", 4) as update:
        update(4, 4)
    assert "4/4" in terminal.console.export_text()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (
            ("tokenizer", "train", "-i", "x", "--vocab-size", 8, "-o", "t"),
            1,
            "a vocabulary of 8 has no room: 5 special tokens and the 4 bases need 9",
        ),
        (
            ("tokenizer", "train", "--kind", "bpe", "--preset", "book", "-o", "t"),
            1,
            "preset 'book' has kind 'char', found 'bpe': leave kind out",
        ),
        (("tokenizer", "train", "--preset", "dnabert2", "-o", "t"), 1, "none is given: give FASTA"),
        (("tokenizer", "train", "-o", "t"), 1, "a byte-pair vocabulary is learned from a text"),
        (("tokenizer", "train", "--kind", "kmer", "--k", 9, "-o", "t"), 2, "Invalid value for"),
        (("tokenizer", "report", "t", "-i", "x", "--sample-every", 0), 2, "Invalid value for"),
        (
            ("tokenizer", "train", "-i", "x", "-o", "t", "--memory", "much"),
            2,
            "'much': expected a size such as 8GB",
        ),
        (("tokenizer", "train", "-i", "x", "-o", "t", "--memory", "0GB"), 2, "expected a size"),
        (("tokenizer", "train", "-i", "x", "-o", "t", "--memory", "8iB"), 2, "expected a size"),
        (("tokenizer", "train", "-i", "x", "-o", "t", "--threads", 0), 2, "Invalid value for"),
        (("tokenizer", "train", "--preset", "ntv2", "-o", "t"), 2, "'--preset': 'ntv2' is not one"),
        (("prepare", "a.fa", "-o", "c"), 2, "(a.fa): give files of sequence with --fasta"),
        (("pretrain", "a.fa", "-o", "c"), 2, "(a.fa): give files of sequence with --fasta"),
        (("tokenizer", "train", "a.fa", "-o", "c"), 2, "(a.fa): give files with --input"),
        (("leaks", "a", "b"), 2, "Got unexpected extra argument(s) (b)"),
        (("simulate", "--seed", -1, "-o", "w"), 2, "Invalid value for '--seed'"),
        (("demo", "--seed", -1, "-o", "d"), 2, "Invalid value for '--seed'"),
        (("predict", "m", "-i", "x", "-o", "p", "--batch-size", 0), 2, "Invalid value for"),
    ],
)
def test_options_out_of_range_are_refused_in_words(helixlm, arguments, status, message):
    found, _, err = helixlm(*arguments)
    assert (found, "Traceback" in err) == (status, False)
    assert message in " ".join(err.split())


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        (
            "train",
            "texts with a sequence on each line, or corpora of `prepare`; several are allowed",
        ),
        ("train", "entries of the vocabulary. Default: 1024, or the preset's."),
        ("train", "bases of the lines that records are cut into. Default: 1000."),
        ("report", "texts with a sequence on each line, or corpora of `prepare`; several are"),
    ],
)
def test_help_of_tokenizers_says_what_is_taken(helixlm, verb, words):
    _, out, _ = helixlm("tokenizer", verb, "--help")
    assert words in " ".join(out.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--k", 4], "--k belongs to kind 'kmer', but the kind is 'bpe': leave --k out, or choose"),
        (["--no-overlap"], "--overlap belongs to kind 'kmer', but the kind is 'bpe'"),
        (["--preset", "dnabert2", "--k", 6], "--k belongs to kind 'kmer'"),
        (["--kind", "kmer", "--vocab-size", 5000], "--vocab-size belongs to kind 'bpe', but the"),
        (["--kind", "char", "--method", "iterative"], "--method belongs to kind 'bpe'"),
        (["--kind", "char", "--min-frequency", 4], "--min-frequency belongs to kind 'bpe'"),
        (["--kind", "char", "--max-token-bp", 4], "--max-token-bp belongs to kind 'bpe'"),
        (["--kind", "char", "--sample-every", 4], "--sample-every belongs to kind 'bpe'"),
        (["--kind", "char", "--part-bp", 4], "--part-bp belongs to kind 'bpe'"),
        (["--kind", "char", "--line-bp", 4], "--line-bp belongs to kind 'bpe'"),
        (["--sample-every", 5], "--sample-every belongs to method 'sample', but the method is 'ex"),
        (["--method", "sample", "--part-bp", 5], "--part-bp belongs to method 'iterative', but"),
        (["--line-bp", 500], "--line-bp belongs to FASTA, but no input is FASTA"),
    ],
)
def test_options_that_would_change_nothing_are_refused(helixlm, tmp_path, options, message):
    text = tmp_path / "lines.txt"
    text.write_text("ACGTACGGTCA\nTTTTACGACG\n")
    status, _, err = helixlm("tokenizer", "train", "-i", text, *options, "-o", tmp_path / "t")
    assert status == 1
    assert message in " ".join(err.split())
    assert not (tmp_path / "t").exists()


def test_lines_of_fasta_can_be_chosen(helixlm, tmp_path):
    fasta, folder = tmp_path / "a.fa", tmp_path / "t"
    fasta.write_text(">a\n" + "ACGT" * 50 + "\n")
    options = ("--vocab-size", 12, "--line-bp", 2, "-o", folder)
    status, _, err = helixlm("tokenizer", "train", "-i", fasta, *options)
    assert status == 0, err
    tokens = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    assert {"AC", "GT"} <= set(tokens)
    assert "ACGT" not in tokens
    status, out, err = helixlm(
        "tokenizer", "report", folder, "-i", fasta, "--line-bp", 4, "--sample-every", 1
    )
    assert status == 0, err
    assert "200 bases in 50 sequences" in out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--preset", "nt-v2"], "kmer, 4,107 tokens"),
        (["--preset", "hyenadna"], "char, 12 tokens"),
        (["--kind", "kmer", "--k", 4], "kmer, 261 tokens"),
        (["--kind", "kmer", "--k", 2, "--no-overlap", "--max-tokens", 99], "kmer, 27 tokens"),
    ],
)
def test_what_needs_no_text_is_made_without_one(helixlm, tmp_path, options, said):
    folder = tmp_path / "tokenizer"
    status, out, err = helixlm("tokenizer", "train", *options, "-o", folder)
    assert (status, said in out) == (0, True), err
    again = ("tokenizer", "train", *options, "-o", folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert helixlm(*again)[:2] == (0, out)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    status, _, err = helixlm(*again, "--max-tokens", 77)
    assert status == 1
    assert f"{folder}: holds a tokenizer already ({said}), which is another: delete the" in err
    assert f"Next: helixlm tokenizer report {folder} --input CORPUS" in out
    limit = json.loads((folder / "tokenizer_config.json").read_text())["model_max_length"]
    assert limit == {"nt-v2": 2048, "hyenadna": 1026}.get(options[1], 99 if 99 in options else 512)
