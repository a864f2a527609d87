"""Trained values of every recipe's model against the published numbers."""

import pytest
import torch

from helixlm.models.cost import count_parameters, multiply_adds
from helixlm.models.heads import build_language_model
from helixlm.recipes.load import list_recipes, load_recipe
from helixlm.tokenizers.build import build_tokenizer

# Parameters of the published checkpoint or of the class that it is trained with, and what of these
# is never used and not built here: NT's contact head, and rows of positions beside rotary ones.
PUBLISHED = {
    "tinydnabert": (19_968_512, 0),
    "dnabert-3": (86_095_941, 0),
    "dnabert-4": (86_243_589, 0),
    "dnabert-5": (86_834_181, 0),
    "dnabert-6": (89_196_549, 0),
    "dnabert": (89_196_549, 0),
    "dnabert2": (117_074_176, 0),
    "dnagrinder": (64_057_216, 0),
    "book": (5_318_935, 0),
    "nt": (55_904_972, 2050 * 512 + 12 * 16 + 1),
    "nt-v2-50m": (55_904_972, 2050 * 512 + 12 * 16 + 1),
    "nt-v2-100m": (97_889_132, 2050 * 512 + 22 * 16 + 1),
    "nt-v2-250m": (235_120_780, 2050 * 768 + 24 * 16 + 1),
    "nt-v2-500m": (498_345_436, 2050 * 1024 + 29 * 16 + 1),
    "nt-v1-500m": (485_699_306, 24 * 20 + 1),
    "nt-v1-2b5": (2_547_801_226, 32 * 20 + 1),
    "hyenadna": (436_096, 0),
    "hyenadna-tiny-1k": (436_096, 0),
    "hyenadna-tiny-1k-d256": (1_641_088, 0),
    "hyenadna-tiny-16k": (436_096, 0),
    "hyenadna-small-32k": (3_277_568, 0),
    "hyenadna-medium-160k": (6_550_528, 0),
    "hyenadna-medium-450k": (6_550_528, 0),
    "hyenadna-large-1m": (6_550_528, 0),
}


def whole(name):
    recipe = load_recipe(name)
    kind = recipe.tokenizer
    size = kind.vocab_size if kind.kind == "bpe" else len(build_tokenizer(kind).tokens)
    return recipe.model.complete(vocab_size=size, pad_token_id=3, mask_token_id=2)


def test_every_recipe_of_a_published_model_is_here():
    ours = {name for name in list_recipes() if not name.endswith("-mini") and name != "demo"}
    assert ours == set(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_size(name):
    config = whole(name)
    with torch.device("meta"):
        model = build_language_model(config)
    published, unused = PUBLISHED[name]
    found = sum(parameter.numel() for parameter in model.parameters())
    assert found == published - unused
    assert sum(count_parameters(config).values()) == found
    written = f"{found:,} parameters" in load_recipe(name).description
    assert written or name == "tinydnabert-mini"


def test_dnagrinder_has_the_paper_s_size_without_the_head():
    parts = count_parameters(whole("dnagrinder"))
    assert sum(parts.values()) - parts["head"] == 63_641_600


@pytest.mark.parametrize("name", [n for n in list_recipes() if n.endswith("-mini")])
def test_what_is_small_is_small(name):
    assert 100_000 < sum(count_parameters(whole(name)).values()) < 5_000_000


def test_relative_operations_of_dnagrinder_s_table_2():
    """Forward passes over 500 bp: 112 byte-pair tokens, 84 6-mers; the head left out."""
    tokens = {"dnagrinder": 112, "dnabert2": 112, "nt-v2-50m": 84, "nt-v1-500m": 84}
    cost = {}
    for name, length in tokens.items():
        parts = multiply_adds(whole(name), length)
        cost[name] = sum(parts.values()) - parts["head"]
    relative = {name: value / cost["dnagrinder"] for name, value in cost.items()}
    assert relative["dnabert2"] == pytest.approx(1.8, abs=0.05)
    assert relative["nt-v2-50m"] == pytest.approx(0.6, abs=0.05)
    assert relative["nt-v1-500m"] == pytest.approx(5.6, abs=0.15)
