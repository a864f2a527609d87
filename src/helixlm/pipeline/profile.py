"""What a recipe or a model costs, worked out from its sizes.

Comes in: a recipe's name or file, or a model's folder. Goes out: trained values and operations by
part. No weight is made or read.
"""

import json
from pathlib import Path
from typing import NamedTuple

from helixlm.errors import InputError
from helixlm.models.convert import config_from_hf
from helixlm.models.cost import ModelShape, count_parameters, multiply_adds, training_flops
from helixlm.models.hf import CONFIG_FILE
from helixlm.recipes.load import load_recipe
from helixlm.tokenizers.build import build_tokenizer


class Profile(NamedTuple):
    """Costs of a model."""

    name: str
    parameters: dict[str, int]
    """Trained values by part, shared ones once."""
    tokens: int
    """Length of the input that operations are counted for."""
    flops: dict[str, float]
    """Floating-point operations of a forward pass over one such input, by part; every token
    predicted."""
    training_flops: float
    """Those of a forward and backward pass, a share of the tokens predicted."""
    predicted: float
    """That share."""


def profile(model: str | Path, tokens: int | None = None) -> Profile:
    """Count what a model costs.

    Parameters
    ----------
    model : str or Path
        A built-in recipe, a recipe's file, or the folder of a model or of a run.
    tokens : int, optional
        Length of an input, special tokens counted; a row of the recipe, or the longest input that
        the model was made for, if not given.

    Returns
    -------
    Profile
        Its costs.

    Raises
    ------
    InputError
        If there is no such recipe or model, the recipe has none, or it takes no such input.
    """
    folder = Path(model)
    predicted = 0.15
    if folder.is_dir():
        where = folder if (folder / CONFIG_FILE).exists() else folder / "model"
        config: ModelShape = _read_config(where / CONFIG_FILE)
        usual = config.usual_tokens
    else:
        recipe = load_recipe(str(model))
        if recipe.model is None:
            raise InputError(f"recipe {recipe.name!r} makes a corpus only: there is no model")
        assert recipe.tokenizer is not None, "a recipe with a model has one"
        kind = recipe.tokenizer
        size = kind.vocab_size if kind.needs_text else len(build_tokenizer(kind).tokens)
        config = recipe.model.complete(vocab_size=size, pad_token_id=1, mask_token_id=2)
        usual = recipe.batches.row_tokens
        if recipe.masking is not None:
            predicted = recipe.masking.rate
    length = usual if tokens is None else tokens
    most = config.max_tokens
    if most is not None and length > most:
        raise InputError(f"{model}: {length} tokens are over the {most} that the model takes")
    if config.family == "hyenadna":
        predicted = 1.0
    return Profile(
        str(model),
        count_parameters(config),
        length,
        {part: 2 * found for part, found in multiply_adds(config, length).items()},
        training_flops(config, num_rows=1, row_tokens=length, num_masked=round(predicted * length)),
        predicted,
    )


def _read_config(path: Path) -> ModelShape:
    try:
        return config_from_hf(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise InputError(f"{path.parent}: no model folder: it has no {path.name}") from error


def profile_text(found: Profile) -> str:
    """Write costs as a table."""
    whole, operations = sum(found.parameters.values()), sum(found.flops.values())
    parts = dict.fromkeys([*found.parameters, *found.flops])
    rows = [("part", "parameters", "share", "FLOPs", "share")]
    for part in parts:
        row = [part]
        for value, total in (
            (found.parameters.get(part), whole), (found.flops.get(part), operations),
        ):  # fmt: skip
            row += ["", ""] if value is None else [f"{value:,.0f}", f"{value / total:.1%}"]
        rows.append((row[0], row[1], row[2], row[3], row[4]))
    rows.append(("all", f"{whole:,}", "", f"{operations:,.0f}", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [
        f"{row[0]:<{widths[0]}}  "
        + "  ".join(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]
    lines += [
        "",
        f"FLOPs: of one forward pass over {found.tokens:,} tokens, "
        f"{operations / found.tokens:,.0f} a token",
        f"Training: {found.training_flops / found.tokens:,.0f} FLOPs a token with "
        f"{found.predicted:.0%} of the tokens predicted, as the training step is built",
    ]
    return "\n".join(lines)
