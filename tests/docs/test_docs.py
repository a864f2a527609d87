"""README and docs: their code runs, their commands exist, their links and lists are true.

One tiny demo is made for all tests. Code blocks run as they stand on the page; commands are
parsed with the real command line, and those that a newcomer types first are run.
"""

import gzip
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import typer

import helixlm
from helixlm.cli.main import app, repeat_options, run
from helixlm.data import windows
from helixlm.data.simulate import small_config
from helixlm.recipes.load import list_recipes, load_recipe

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "helixlm"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "systems").glob("*.md")),
]
TINY = [
    "train.steps=6", "train.warmup_steps=1", "train.log_every=2", "train.validate_every=3",
    "train.validation_rows=16", "train.checkpoint_every=3", "train.compile=false",
    "batches.rows=4", "train.micro_rows=4", "model.hidden_size=16", "model.num_layers=1",
    "model.num_heads=2", "model.intermediate_size=32", "tokenizer.method=exact",
]  # fmt: skip
TINY_FINETUNE = ["finetune.max_steps=4", "finetune.warmup_steps=1", "finetune.eval_every=2"]


def page_id(path):
    return str(path.relative_to(ROOT))


def blocks(path, language):
    """Return the code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)


def commands(path):
    """Return the helixlm commands of a page, as lists of arguments."""
    text = path.read_text()
    lines = [line for block in blocks(path, "bash") for line in block.splitlines()]
    lines += re.findall(r"`(helixlm [^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M))
    lines = [line.partition(" # ")[0] for line in lines if line.startswith("helixlm ")]
    return [shlex.split(line)[1:] for line in lines if "..." not in line and "|" not in line]


def load_script(path):
    """Import a script that lies in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """Return the folder of a tiny demo."""
    output = tmp_path_factory.mktemp("docs") / "demo"
    helixlm.demo(
        output,
        world=small_config(seed=7),
        overrides=[*TINY, *TINY_FINETUNE],
        seeds=(0,),
        device="cpu",
    )
    return output


@pytest.fixture
def workplace(demo, tmp_path, monkeypatch):
    """Go to a folder that holds the files which the pages speak of."""
    task = demo / "world" / "tasks" / "promoter"
    genome = (demo / "world" / "alba.fa").read_bytes()
    (tmp_path / "genome.fa.gz").write_bytes(gzip.compress(genome))
    for split in ("train", "dev", "test"):
        shutil.copy(task / f"{split}.csv", tmp_path / f"{split}.csv")
    rows = (task / "test.csv").read_text().splitlines()[1:6]
    records = [f">s{i}\n{row.split(',')[0]}\n" for i, row in enumerate(rows)]
    (tmp_path / "sequences.fa").write_text("".join(records))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def models(demo, workplace):
    """Put a finished run and a fine-tuned model there too."""
    shutil.copytree(demo / "run", workplace / "run")
    shutil.copytree(demo / "tasks" / "promoter" / "pretrained-seed0", workplace / "tuned")
    return workplace


def run_code(path):
    """Run the Python blocks of a page one after the other, as one program."""
    text = path.read_text()
    space = {"__name__": "page"}
    for match in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        # Blank lines in front make the line numbers of a traceback those of the page.
        lines = "\n" * (text[: match.start()].count("\n") + 1)
        exec(compile(lines + match[1], page_id(path), "exec"), space)
    return space


def test_readme_code_runs(models):
    space = run_code(ROOT / "README.md")
    assert space["loaded"].kind == "masked"
    assert space["done"].num_sequences == 5
    assert space["logits"].shape[-1] == space["loaded"].tokenizer.vocab_size


def test_how_to_code_runs(models):
    assert run_code(ROOT / "docs" / "pretrain-your-genome.md")["logits"].shape[0] == 1


def test_python_page_runs(workplace):
    space = run_code(ROOT / "docs" / "python.md")
    assert space["result"].training.finished
    assert space["done"].num_sequences == len(Path("test.csv").read_text().splitlines()) - 1


def test_tokenizers_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_code(ROOT / "docs" / "tokenizers.md")["tokenizer"].kind == "kmer"


def test_models_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_code(ROOT / "docs" / "models.md")["output"].loss > 0


def test_no_other_page_has_code_that_is_not_run():
    having = {page_id(page) for page in PAGES if blocks(page, "python")}
    assert having == {
        "README.md",
        "docs/models.md",
        "docs/pretrain-your-genome.md",
        "docs/python.md",
        "docs/tokenizers.md",
    }


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_exist(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    Path("run/recipe.yaml").write_text("base: tinydnabert-mini\n")
    for text in blocks(page, "yaml"):
        Path("mine.yaml").write_text(text)
    for arguments in commands(page):
        if arguments[0] == "VERB":
            continue
        named = len(arguments) == 1  # a verb that is only spoken of
        options = parse([*arguments, "--help"] if named else arguments)
        changes = options.get("overrides") or []
        if "recipe" in options or changes:
            load_recipe(options.get("recipe") or "demo", changes)


def parse(arguments):
    """Parse a command with the real command line, and return its options."""
    command, given = typer.main.get_command(app), repeat_options(arguments)
    while hasattr(command, "commands"):
        if not given or set(given) <= {"-h", "--help", "--version", "--debug"}:
            return {}
        name, *given = given
        assert name in command.commands, name
        command = command.commands[name]
    return {} if "--help" in given else command.make_context(command.name, given).params


def test_a_command_that_does_not_exist_is_seen():
    found = parse(["pretrain", "--fasta", "a", "b", "-o", "run", "--set", "seed=1"])
    assert (len(found["fasta"]), found["overrides"]) == (2, ["seed=1"])
    with pytest.raises(Exception, match="--steps"):
        parse(["pretrain", "--steps", "5", "-o", "run"])
    with pytest.raises(AssertionError, match="fly"):
        parse(["fly"])


def test_there_are_commands_in_the_pages():
    assert sum(len(commands(page)) for page in PAGES) > 30


def test_first_commands_run_in_order(workplace, capsys):
    """What a biologist types first, as both pages have it, with tiny settings added."""
    first = commands(ROOT / "docs" / "pretrain-your-genome.md")[:3]
    assert [arguments[0] for arguments in first] == ["pretrain", "finetune", "predict"]
    readme = commands(ROOT / "README.md")
    assert all(arguments in readme for arguments in first)
    extra = {"pretrain": TINY, "finetune": TINY_FINETUNE, "predict": []}
    for arguments in first:
        sets = [part for change in extra[arguments[0]] for part in ("--set", change)]
        try:
            run([*arguments, *sets, "--device", "cpu"])
        except SystemExit as stop:
            assert not stop.code, capsys.readouterr().err
    assert Path("run/report.html").exists()
    assert len(Path("labels.csv").read_text().splitlines()) == 6


def test_run_folder_of_the_readme_is_true(models):
    tree = (ROOT / "README.md").read_text().partition("```\nrun/\n")[2].partition("```")[0]
    named = {line.split()[0].rstrip("/") for line in tree.splitlines()}
    present = {path.name for path in Path("run").iterdir() if not path.name.startswith(".")}
    assert named == present


def test_file_tree_of_the_readme_is_complete():
    tree = (ROOT / "README.md").read_text().partition("```\nsrc/helixlm/\n")[2].partition("```")[0]
    named = {line.split()[0] for line in tree.splitlines()}
    present = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in SOURCE.iterdir()
        if path.name not in ("__init__.py", "__main__.py", "__pycache__", "py.typed")
    }
    assert named == present


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_where_make_puts_the_command_is_said():
    """In the page, and by `make demo` behind the last line of the demo, which names a command."""
    for command in ("source .venv/bin/activate", ".venv/bin/helixlm"):
        assert command in (ROOT / "README.md").read_text()
    shown = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "--always-make", "demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert shown[-2] == ".venv/bin/helixlm demo -o demo"
    assert "source .venv/bin/activate, or write .venv/bin/helixlm in place of" in shown[-1]


def test_recipes_of_the_readme_are_all():
    rows = (ROOT / "README.md").read_text().partition("| recipe | what it is |")[2]
    names = [row.split("|")[1] for row in rows.partition("\n\n")[0].splitlines()[2:]]
    assert sorted(re.findall("`([^`]+)`", " ".join(names))) == sorted(list_recipes())


def test_choices_of_n_and_iupac_are_those_of_the_settings():
    text = (ROOT / "docs" / "corpora.md").read_text().partition("| kind | `n` | `iupac` |\n")[2]
    rows = [row.strip("| ").split(" | ") for row in text.partition("\n\n")[0].splitlines()[1:]]
    found = {kind.strip("`"): cells for kind, *cells in rows}
    kinds = [kind for kind in vars(windows).values() if hasattr(kind, "model_fields")]
    assert set(found) == {kind.model_fields["kind"].default for kind in kinds}
    for kind in kinds:
        cells = found[kind.model_fields["kind"].default]
        for cell, name in zip(cells, ("n", "iupac"), strict=True):
            said = re.findall("`([^`]+)`", cell)
            field = kind.model_fields.get(name)
            assert sorted(said) == sorted(get_args(field.annotation) if field else [])
            assert not field or said[0] == field.default


def test_functions_of_the_python_page_are_all():
    text = (ROOT / "docs" / "python.md").read_text()
    named = set(re.findall(r"`helixlm\.(\w+)`", text.partition("## A world")[0]))
    assert named == set(helixlm.__all__) - {"__version__"}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_index_names_every_page():
    text = (ROOT / "docs" / "index.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "index.md" or f"]({page.name})" in text


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_pages_are_ascii(page):
    """Only the progress bar, which is shown as it is drawn, needs more."""
    assert page.read_text().replace("\N{BOX DRAWINGS HEAVY HORIZONTAL}", "").isascii()


def test_every_mark_is_known_to_the_script():
    script = load_script(ROOT / "docs" / "update_numbers.py")
    found = set()
    for page in script.pages():
        text = page.read_text()
        assert (
            text.count("<!-- demo:")
            == text.count("<!-- /demo -->")
            == len(script.MARK.findall(text))
        )
        found |= {match[2] for match in script.MARK.finditer(text)}
        for match in script.MARK.finditer(text):
            assert match[3].strip(), f"{page.name}: nothing in {match[2]}"
            begins_line = not text[: match.start()].rpartition("\n")[2].strip(" -")
            # Markdown takes a line that begins with a comment for HTML.
            assert not begins_line or match[3].startswith("\n"), f"{page.name}: {match[2]}"
    assert found <= set(script.MARKS)
    assert len(found) > 40


def test_numbers_are_filled_from_a_demo(demo):
    script = load_script(ROOT / "docs" / "update_numbers.py")
    found = script.values(script.read_demo(demo))
    assert all(found.values())
    assert found["steps"] == "6"
    assert found["contigs"] == "3"
    assert found["test_contigs"] == "chr2"
    assert "; counting single tokens gives " in found["headline"]
    text = "It took <!-- demo:steps -->?<!-- /demo --> steps.\n<!-- demo:curve -->?<!-- /demo -->\n"
    filled = script.fill(text, found)
    assert "took <!-- demo:steps -->6<!-- /demo --> steps" in filled
    assert "<!-- demo:curve -->\n| step |" in filled
    assert script.fill(filled, found) == filled
    with pytest.raises(KeyError, match="nothing"):
        script.fill("<!-- demo:nothing -->?<!-- /demo -->", found)


def test_the_example_runs(tmp_path):
    environment = os.environ | {
        "HELIXLM": f"{sys.executable} -m helixlm",
        "STEPS": "20",
        "FINETUNE_STEPS": "4",
    }
    done = subprocess.run(
        ["sh", ROOT / "examples" / "tiny.sh", tmp_path / "tiny"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for name in ("run/report.html", "compared/intervals.csv", "labels.csv", "tokens.csv"):
        assert (tmp_path / "tiny" / name).exists()
