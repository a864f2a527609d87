"""The demo's page: row counts, and the command that makes it again."""

import csv
import re
import shlex

import pytest
import typer

import helixlm
from helixlm.cli.main import app, repeat_options
from helixlm.data.simulate import WorldConfig, small_config
from helixlm.pipeline.demo import SEEDS, TASKS, _command, demo

from .conftest import TINY

GIVEN = {
    "recipe": "demo",
    "seed": 0,
    "overrides": (),
    "world": None,
    "tasks": tuple(TASKS),
    "seeds": SEEDS,
    "device": None,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return demo(
        tmp_path_factory.mktemp("demo") / "demo",
        overrides=TINY,
        world=small_config(seed=7),
        tasks=["promoter"],
        seeds=[0],
        device="cpu",
    )


def test_the_page_says_how_many_rows_there_are(made):
    counts = {}
    for split in ("train", "dev", "test"):
        with made.world.task("promoter", split).open() as file:
            counts[split] = len(list(csv.DictReader(file)))
    cells = re.findall(r'<td class="n">(.*?)</td>', made.report.read_text())
    words = [re.sub(r"<[^>]+>", " ", cell).split() for cell in cells]
    [text] = [found for found in words if "test" in found]
    assert text == [
        word for split in ("test", "train", "dev") for word in (f"{counts[split]:,}", split)
    ]


def test_the_page_has_a_command_with_the_settings(made):
    page = made.report.read_text()
    assert "helixlm.demo(" in page
    assert all(setting in page for setting in TINY)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"seed": 3, "overrides": ["train.steps=9", "name=my own"], "device": "cpu"},
    ],
)
def test_the_command_asks_for_the_same_on_the_command_line(given):
    words = shlex.split(_command(**(GIVEN | given)))
    assert words[0] == "helixlm"
    name, *rest = repeat_options(words[1:])
    found = typer.main.get_command(app).commands[name].make_context(name, rest).params
    assert found["seed"] == given.get("seed", 0)
    assert list(found["overrides"] or []) == given.get("overrides", [])
    assert found["device"] == given.get("device")


@pytest.mark.parametrize(
    "given",
    [
        {"recipe": "tinydnabert-mini", "overrides": ["name=it's mine"]},
        {"tasks": ["promoter"], "seeds": [4], "seed": 2, "device": "cuda:1"},
        {"world": small_config(seed=7), "overrides": ["train.steps=9"]},
    ],
)
def test_the_command_asks_for_the_same_in_python(given, monkeypatch):
    program, option, code = shlex.split(_command(**(GIVEN | given)))
    assert (program, option) == ("python", "-c")
    seen = {}
    monkeypatch.setattr(helixlm, "demo", lambda output, **rest: seen.update(rest), raising=False)
    exec(code, {})
    assert {name: seen.get(name, value) for name, value in GIVEN.items() if name in given} == given
    if "world" in given:
        assert isinstance(seen["world"], WorldConfig)
