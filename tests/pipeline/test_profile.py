"""Costs of recipes and folders; the numbers themselves are tested with the models."""

import pytest
from typer.testing import CliRunner

from helixlm.cli.main import app
from helixlm.errors import InputError
from helixlm.models.config import EncoderConfig
from helixlm.models.heads import MaskedLM
from helixlm.models.hf import save_model
from helixlm.models.init import initialise
from helixlm.pipeline.profile import profile


def test_tinydnabert_by_hand():
    found = profile("tinydnabert", tokens=10)
    width, inner, vocabulary = 512, 2048, 1024
    assert found.parameters["embeddings"] == (vocabulary + 514 + 2) * width + 2 * width
    assert found.parameters["feed-forward"] == 6 * (2 * width * inner + inner + width)
    assert found.flops == {
        "attention": 2 * 6 * 10 * 4 * width**2,
        "scores": 2 * 6 * 2 * 10 * 10 * width,
        "feed-forward": 2 * 6 * 10 * 2 * width * inner,
        "head": 2 * 10 * (width**2 + width * vocabulary),
    }


def test_a_folder_and_its_recipe_cost_the_same(tmp_path):
    config = EncoderConfig(
        vocab_size=256, hidden_size=192, num_layers=4, num_heads=3, intermediate_size=768,
        max_positions=258, pad_token_id=1,
    )  # fmt: skip
    model = MaskedLM(config)
    initialise(model, config, torch_generator())
    save_model(model, tmp_path / "run" / "model")
    recipe = profile("tinydnabert-mini")
    for folder in (tmp_path / "run", tmp_path / "run" / "model"):
        found = profile(folder)
        assert found.parameters == recipe.parameters
        assert found.flops == recipe.flops
    assert sum(recipe.parameters.values()) == sum(p.numel() for p in model.parameters())


def torch_generator():
    import torch  # noqa: PLC0415

    return torch.Generator().manual_seed(0)


def test_the_command_prints_a_table():
    found = CliRunner().invoke(app, ["profile", "hyenadna-small-32k", "--tokens", "1000"])
    assert found.exit_code == 0
    assert "3,277,568" in found.output
    assert "long convolutions" in found.output
    assert "over 1,000 tokens" in found.output


def test_what_cannot_be_counted(tmp_path):
    with pytest.raises(InputError, match="513 tokens are over the 512 that the model takes"):
        profile("tinydnabert", tokens=513)
    with pytest.raises(InputError, match=r"no model folder: it has no config\.json"):
        profile(tmp_path)
    with pytest.raises(InputError, match="neither a file nor a built-in recipe"):
        profile("tinydnaberd")
