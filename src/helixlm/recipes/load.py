"""Recipes by name or by file, with a base recipe below them and overrides on top.

Comes in: a name such as ``tinydnabert`` or the path of a YAML file, and ``section.key=value``
overrides. Goes out: a checked `Recipe`, or one error that lists every problem with its place.
"""

import contextlib
import difflib
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from helixlm.data.windows import DEFAULT_KIND
from helixlm.errors import InputError
from helixlm.recipes.schema import Recipe


class RecipeError(InputError):
    """A recipe that cannot be found, read or used."""


def list_recipes() -> dict[str, str]:
    """Return the built-in recipes: name to description, in alphabetical order."""
    found = {}
    for file in sorted(resources.files("helixlm.recipes").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".yaml"):
            found[file.name.removesuffix(".yaml")] = str(
                yaml.safe_load(file.read_text(encoding="utf-8")).get("description", "")
            )
    return found


def recipe_text(name: str) -> str:
    """Return a built-in recipe as it is written, comments and all.

    Raises
    ------
    RecipeError
        If there is no recipe of that name.
    """
    file = resources.files("helixlm.recipes") / f"{name}.yaml"
    if "/" in name or not file.is_file():
        raise RecipeError(
            f"recipe {name!r}: neither a file nor a built-in recipe; helixlm recipes lists those"
            f"{_suggest(name, list_recipes())}"
        )
    return file.read_text(encoding="utf-8")


def load_recipe(source: str | Path | Recipe, overrides: Sequence[str] = ()) -> Recipe:
    """Read, resolve and check a recipe.

    Parameters
    ----------
    source : str, Path or Recipe
        A built-in name, a YAML file, or a recipe that overrides are put on.
    overrides : sequence of str
        ``section.key=value``, the value written as in YAML; later ones win.

    Returns
    -------
    Recipe
        Complete and frozen.

    Raises
    ------
    RecipeError
        Listing every problem with its path in the recipe.
    """
    if isinstance(source, Recipe):
        values, place = source.model_dump(mode="json"), f"recipe {source.name!r}"
    else:
        values, place = _read(source, seen=()), f"recipe {source}"
    # What takes the place of its section goes first, see _apply.
    for override in sorted(
        overrides, key=lambda text: not (_names_preset(text) or _names_window_kind(text))
    ):
        _apply(values, override)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        problems = "\n".join(f"  {line}" for line in _describe(error))
        raise RecipeError(f"{place}: {error.error_count()} problem(s):\n{problems}") from error


def recipe_yaml(recipe: Recipe) -> str:
    """Write a resolved recipe as YAML that `load_recipe` reads back to the same recipe."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, width=100)


def compare_recipes(old: Recipe, new: Recipe, ignored: Iterable[str] = ()) -> list[str]:
    """Return the differences as ``section.key: old -> new``, leaving out the ignored paths.

    Of windows of two kinds only what both kinds have is compared, and the kind.
    """
    before, after = _flatten(old.model_dump(mode="json")), _flatten(new.model_dump(mode="json"))
    left_out = set(ignored)
    if old.windows.kind != new.windows.kind:
        left_out |= {key for key in before.keys() ^ after.keys() if key.startswith("windows.")}
    return [
        f"{key}: {before.get(key)} -> {after.get(key)}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key) and key not in left_out
    ]


def contradicted(overrides: Sequence[str], given: Recipe, there: Recipe) -> dict[str, Any]:
    """Return the settings, by path, that overrides set in one recipe and that another has not.

    The values are those of the recipe `there`; None if it has no such setting.
    """
    paths = [override.partition("=")[0].strip() for override in overrides]
    wanted, found = _flatten(given.model_dump(mode="json")), _flatten(there.model_dump(mode="json"))
    return {
        key: found.get(key)
        for key, value in wanted.items()
        if found.get(key) != value and any(f"{key}.".startswith(f"{path}.") for path in paths)
    }


def _read(source: str | Path, seen: tuple[str, ...]) -> dict[str, Any]:
    """Read a recipe's values over those of its base."""
    if str(source) in seen:
        raise RecipeError(f"recipe {seen[0]}: its bases go in a circle: {' -> '.join(seen)}")
    path = Path(source)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        text = path.read_text(encoding="utf-8")
    elif path.suffix in (".yaml", ".yml"):
        raise RecipeError(f"recipe {source}: no such file")
    else:
        text = recipe_text(str(source))
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"recipe {source}: not YAML: {error}") from error
    if not isinstance(values, dict):
        raise RecipeError(
            f"recipe {source}: found {type(values).__name__}, expected sections such as 'model:'"
        )
    values.setdefault("name", path.stem)
    base = values.pop("base", None)
    if base is None:
        return values
    beside = path.parent / str(base)
    below = _read(beside if beside.is_file() else str(base), (*seen, str(source)))
    return _merge(below, values)


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Lay values over those of a base."""
    merged = dict(below)
    for key, value in above.items():
        there = below.get(key)
        sections = isinstance(value, dict) and isinstance(there, dict)
        merged[key] = _merge_section(key, there, value) if sections else value
    return merged


def _merge_section(key: str, below: Any, above: Any) -> dict[str, Any]:
    """Lay a section over that of a base, unless it names a preset, or another kind of windows."""
    other_windows = key == "windows" and above.get("kind", _kind(below)) != _kind(below)
    if above.get("preset") or other_windows:
        return dict(above)
    return _merge(below, above)


def _kind(windows: dict[str, Any]) -> Any:
    """Return the kind of windows that a section is of."""
    return windows.get("kind", DEFAULT_KIND)


def _names_preset(override: str) -> bool:
    """Whether an override sets the preset of a section."""
    return override.partition("=")[0].strip().endswith(".preset")


def _names_window_kind(override: str) -> bool:
    """Whether an override sets the kind of windows, on which the other keys depend."""
    return override.partition("=")[0].strip() == "windows.kind"


def _apply(values: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise RecipeError(
            f"--set {override!r}: expected section.key=value, such as model.hidden_size=256"
        )
    *sections, key = path.strip().split(".")
    at = values
    for section in sections:
        if at.get(section) is None:
            at[section] = {}
        at = at[section]
        if not isinstance(at, dict):
            raise RecipeError(f"--set {override!r}: {section!r} is a value, not a section")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {override!r}: the value is not YAML: {error}") from error
    if _names_preset(override) and value is not None:
        at.clear()  # What the base says of this section would contradict the preset.
    if _names_window_kind(override) and value != _kind(at):
        at.clear()  # Another kind has other keys.
    if isinstance(value, str):  # YAML 1.1 takes 1e-4 for text.
        with contextlib.suppress(ValueError):
            value = float(value)
    at[key] = value


def _describe(error: ValidationError) -> Iterable[str]:
    for problem in error.errors():
        place = problem["loc"]
        if place[0:1] in (("windows",), ("model",)):
            place = place[:1] + place[2:]  # between them stands the kind, which is no key
        path = ".".join(str(part) for part in place) or "recipe"
        if problem["type"] == "extra_forbidden":
            name, known = str(place[-1]), _fields(problem["loc"][:-1])
            yield f"{path}: unknown key{_elsewhere(name, place[:-1]) or _suggest(name, known)}"
        else:
            message = problem["msg"].removeprefix("Value error, ")
            given = problem.get("input")
            shown = "" if isinstance(given, dict | BaseModel) else f" (found {given!r})"
            yield f"{path}: {message}{shown}"


def _fields(path: Sequence[Any]) -> list[str]:
    """Return the keys that there are at a place."""
    kinds: list[type[BaseModel]] = [Recipe]
    for part in path:
        if len(kinds) > 1:  # a section of several kinds: the path names the kind
            kinds = [kind for kind in kinds if _is_named(kind, part)]
        elif isinstance(part, str):  # else a number in a list
            kinds = list(_kinds_in(kinds[0].model_fields[part].annotation))
    return [name for kind in kinds for name in kind.model_fields]


def _is_named(kind: type[BaseModel], name: Any) -> bool:
    """Whether a kind of windows, or of models, goes by a name."""
    field = "kind" if "kind" in kind.model_fields else "family"
    return name in get_args(kind.model_fields[field].annotation)


def _elsewhere(name: str, here: Sequence[Any]) -> str:
    """Suggest other sections that have a key of this name."""
    found = []
    for section, field in Recipe.model_fields.items():
        known = any(name in kind.model_fields for kind in _kinds_in(field.annotation))
        if known and tuple(here) != (section,):
            found.append(repr(f"{section}.{name}"))
    return f"; did you mean {' or '.join(found)}?" if found else ""


def _kinds_in(annotation: Any) -> Iterable[type[BaseModel]]:
    """Yield what a section may be, without null."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _kinds_in(part)


def _suggest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat
