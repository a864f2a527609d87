"""The pages of published systems: every number of a recipe that they state is the recipe's.

A table with a column `key` is compared: each column whose head names recipes holds the value of
that key in them, as YAML. The first recipe that a page names so is its main one.
"""

import re
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from tests.recipes.test_sizes import PUBLISHED, whole

from helixlm.models.cost import count_parameters
from helixlm.pipeline.profile import profile
from helixlm.recipes.load import list_recipes, load_recipe
from helixlm.recipes.schema import Recipe

FOLDER = Path(__file__).parents[2] / "docs" / "systems"
INDEX = FOLDER / "index.md"
PAGES = sorted(page for page in FOLDER.glob("*.md") if page != INDEX)
NAMES = {page.stem: page for page in PAGES}
RECIPES = list_recipes()


class Cell(NamedTuple):
    """What a page says a recipe has."""

    recipe: str
    key: str
    text: str


def read_tables(text):
    """Return the tables of a page: each a list of rows, the head first, each a list of cells."""
    found = re.findall(r"^\|.*\|\n\|(?: --- \|)+\n(?:\|.*\|\n)*", text, re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
        for table in found
    ]


def read_cells(text):
    """Return what a page says of recipes, in its order."""
    cells = []
    for head, _, *rows in read_tables(text):
        if "key" not in head:
            continue
        for row in rows:
            key = row[head.index("key")].strip("`")
            assert len(row) == len(head), row
            for names, value in zip(head, row, strict=True):
                recipes = re.findall("`([^`]+)`", names)
                assert set(recipes) <= set(RECIPES), names
                cells += [Cell(name, key, value.strip("`")) for name in recipes if key != "-"]
    return cells


def read_value(text):
    """Read a value as a recipe writes it; YAML 1.1 takes 1e-4 for text."""
    value = yaml.safe_load(text)
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def settings(recipe):
    """Return the settings of a recipe by key, and those other than what the schema has."""
    found, changed = {}, set()
    for name, field in Recipe.model_fields.items():
        section = getattr(recipe, name)
        kind = type(section)
        if not hasattr(kind, "model_fields"):
            found[name] = section
            changed |= {name} if section != field.default else set()
            continue
        for key, value in section.model_dump(mode="json").items():
            about = kind.model_fields[key]
            default = None if about.is_required() else about.get_default(call_default_factory=True)
            if hasattr(default, "model_dump"):
                default = default.model_dump(mode="json")
            if isinstance(default, tuple):
                default = list(default)
            found[f"{name}.{key}"] = value
            # The default of the key that tells kinds apart is that of the section.
            if kind is not type(field.default) and key in ("kind", "family"):
                default = getattr(field.default, key)
            changed |= {f"{name}.{key}"} if value != default or about.is_required() else set()
    return found, changed - {"name", "description"}


SETTINGS = {name: settings(load_recipe(name)) for name in RECIPES}


@pytest.mark.parametrize("stem", NAMES)
def test_values_are_those_of_the_recipes(stem):
    cells = read_cells(NAMES[stem].read_text())
    assert len(cells) > 40
    for cell in cells:
        values, _ = SETTINGS[cell.recipe]
        if cell.text == "-":
            assert cell.key not in values, cell
        else:
            assert read_value(cell.text) == values[cell.key], cell


@pytest.mark.parametrize("stem", NAMES)
def test_what_a_recipe_changes_is_on_its_page(stem):
    cells = read_cells(NAMES[stem].read_text())
    main = cells[0].recipe
    shown = {cell.key for cell in cells if cell.recipe == main}
    for name in dict.fromkeys(cell.recipe for cell in cells):
        values, changed = SETTINGS[name]
        own = {cell.key for cell in cells if cell.recipe == name}
        inherited = {key for key in shown if values.get(key) == SETTINGS[main][0].get(key)}
        assert not changed - own - inherited, name
        unlike = {key for key in shown & set(values) if values[key] != SETTINGS[main][0].get(key)}
        assert not unlike - own, name


def test_every_recipe_has_one_page():
    found = [
        name
        for page in PAGES
        for name in dict.fromkeys(cell.recipe for cell in read_cells(page.read_text()))
    ]
    assert sorted(found) == sorted(set(RECIPES) - {"demo"})


def written(value):
    """Write a number of operations as the pages do."""
    digits, exponent = f"{value:.2e}".split("e")
    return f"{digits}e{int(exponent)}"


@pytest.mark.parametrize("stem", NAMES)
def test_costs_are_those_of_profile(stem):
    text = NAMES[stem].read_text()
    (table,) = [rows for rows in read_tables(text) if rows[0][:2] == ["recipe", "parameters"]]
    stated = [row[0].strip("`") for row in table[2:]]
    assert set(stated) == {cell.recipe for cell in read_cells(text)}
    for name, row in zip(stated, table[2:], strict=True):
        found, recipe = profile(name), load_recipe(name)
        per_token = found.training_flops / found.tokens
        tokens = recipe.train.steps * recipe.batches.rows * recipe.batches.row_tokens
        assert row[1:] == [
            f"{sum(found.parameters.values()):,}",
            f"{found.tokens:,}",
            written(sum(found.flops.values())),
            written(per_token),
            written(per_token * tokens),
        ]


def test_counts_of_the_index_are_the_published_ones():
    (table,) = [rows for rows in read_tables(INDEX.read_text()) if "built here" in rows[0]]
    stated = {row[0].strip("`"): [int(x.replace(",", "")) for x in row[1:]] for row in table[2:]}
    assert set(stated) == set(PUBLISHED)
    for name, (published, unused, built) in stated.items():
        assert (published, unused) == PUBLISHED[name]
        assert built == published - unused == sum(count_parameters(whole(name)).values())


def test_index_names_every_page():
    text = INDEX.read_text()
    assert all(f"]({page.name})" in text for page in PAGES)


@pytest.mark.parametrize("stem", NAMES)
def test_parts_of_a_page(stem):
    heads = re.findall(r"^## (.+)$", NAMES[stem].read_text(), re.MULTILINE)
    assert [head for head in heads if head != "How the sizes were inferred"] == [
        "Line by line",
        "Where ours differs",
        "Not published, or uncertain",
        "Published weights",
        "Train it from scratch",
        "Go on training it",
        "What it costs",
        "Citation",
    ]


def test_a_wrong_number_is_seen():
    text = (FOLDER / "book.md").read_text()
    true = "| masking rate | 0.05 | `0.05` |"
    assert text.count(true) == 1
    wrong = read_cells(text.replace(true, "| masking rate | 0.05 | `0.06` |"))
    assert [c for c in wrong if read_value(c.text) != SETTINGS[c.recipe][0].get(c.key)] == [
        Cell("book", "masking.rate", "0.06")
    ]
