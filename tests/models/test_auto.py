"""Our classes in transformers: our numbers; its losses, folders, Trainer and Auto classes."""

import json
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    Trainer,
    TrainingArguments,
)

from helixlm.models.auto import HelixlmConfig, HelixlmForMaskedLM
from helixlm.models.convert import from_hf, to_hf
from helixlm.models.heads import MaskedLM, SequenceClassifier
from helixlm.models.hf import load_model, save_model
from helixlm.models.init import initialise

IDS = torch.randint(5, 37, (3, 11), generator=torch.Generator().manual_seed(1))
MASK = (torch.arange(11) < torch.tensor([11, 8, 5])[:, None]).long()
CLOSE = {"rtol": 0, "atol": 1e-6}


@pytest.fixture
def make(tiny_config):
    def build(head="masked", **changes):
        config = tiny_config("helixlm", initializer_range=0.3, **changes)
        if head == "masked":
            model = MaskedLM(config)
        else:
            model = SequenceClassifier(config, 3, 0.25, ["helix", "sheet", "coil"])
        initialise(model, config, torch.Generator().manual_seed(2))
        return model.eval()

    return build


KINDS = {
    "alibi": {},
    "mean": {"pooling": "mean", "sequence_head": "dnagrinder"},
    "first": {"pooling": "first", "sequence_head": "modernbert"},
    "untied": {"tied_decoder": False, "positions": "rotary", "global_every": 2, "window": 2},
    "learned": {"positions": "learned", "token_dropout": True, "mask_token_id": 7},
}


@pytest.mark.parametrize("head", ["masked", "sequence"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_numbers_are_those_of_our_model(make, tmp_path, kind, head):
    ours = make(head, **KINDS[kind])
    theirs = to_hf(ours)
    assert not theirs.training
    expected = ours(IDS, attention_mask_BL=MASK)
    output = theirs(input_ids=IDS, attention_mask=MASK, output_hidden_states=True)
    torch.testing.assert_close(output.logits, expected, **CLOSE)
    assert output.loss is None
    assert len(output.hidden_states) == 1 + ours.config.num_layers
    torch.testing.assert_close(
        output.hidden_states[-1], ours.encoder(IDS, attention_mask_BL=MASK), **CLOSE
    )
    torch.testing.assert_close(
        output.hidden_states[0],
        ours.encoder.embeddings(IDS, MASK, None, None, None),
        **CLOSE,
    )
    as_tuple = theirs(IDS, MASK, return_dict=False)
    assert torch.equal(as_tuple[0], output.logits)
    theirs.set_attn_implementation("eager")
    torch.testing.assert_close(theirs(IDS, MASK).logits, expected, rtol=1e-5, atol=1e-5)
    assert theirs.encoder.attention_path == "reference"

    theirs.save_pretrained(tmp_path / "theirs")
    loaded = load_model(tmp_path / "theirs")
    assert loaded.config == ours.config
    for name, tensor in ours.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    auto = AutoModelForMaskedLM if head == "masked" else AutoModelForSequenceClassification
    again, info = auto.from_pretrained(
        save_model(ours, tmp_path / "ours"), output_loading_info=True
    )
    assert not any(info.values())
    torch.testing.assert_close(again(IDS, MASK).logits, expected, **CLOSE)
    if head == "sequence":
        assert again.config.id2label == {0: "helix", 1: "sheet", 2: "coil"}
        assert again.classifier.output_dropout == loaded.dropout == 0.25
        assert loaded.labels == ("helix", "sheet", "coil")


def test_gradients_are_those_of_our_model(make):
    ours = make()
    theirs = to_hf(ours)
    ours(IDS).square().mean().backward()
    theirs(IDS).logits.square().mean().backward()
    expected = {
        name.replace("head.", "lm_head.", 1) if name.startswith("head.") else name: p.grad
        for name, p in ours.named_parameters()
    }
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(parameter.grad, expected.pop(name), **CLOSE)
    assert not expected


def test_trap_2_the_loss_leaves_out_minus_100_and_nothing_else(make):
    """DNABERT-2's own code leaves out labels of 0, [UNK], too."""
    theirs = to_hf(make())
    labels = torch.full_like(IDS, -100)
    labels[0, 1], labels[1, 2], labels[2, 0] = 9, 0, 12
    output = theirs(IDS, MASK, labels=labels)
    chosen = output.logits[[0, 1, 2], [1, 2, 0]]
    expected = F.cross_entropy(chosen, torch.tensor([9, 0, 12]))
    torch.testing.assert_close(output.loss, expected, **CLOSE)


def test_the_loss_of_a_classifier(make):
    theirs = to_hf(make("sequence"))
    labels = torch.tensor([2, 0, 1])
    output = theirs(IDS, MASK, labels=labels)
    torch.testing.assert_close(output.loss, F.cross_entropy(output.logits, labels), **CLOSE)


def test_a_masked_folder_becomes_a_classifier_with_a_fresh_head(make, tmp_path):
    ours = make()
    save_model(ours, tmp_path / "model")
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model", num_labels=4)
    for name, tensor in ours.encoder.state_dict().items():
        assert torch.equal(theirs.encoder.state_dict()[name], tensor), name
    assert theirs(IDS).logits.shape == (3, 4)
    assert theirs.classifier.dense.weight.std().item() == pytest.approx(0.3, rel=0.2)
    assert not theirs.classifier.dense.bias.any()


def test_a_fresh_model_of_transformers_is_one_of_ours(tiny_config):
    config = HelixlmConfig(**tiny_config("helixlm").model_dump())
    assert (config.num_hidden_layers, config.num_attention_heads) == (2, 3)
    assert config.encoder == tiny_config("helixlm")
    model = HelixlmForMaskedLM(config)
    assert not model.lm_head.bias.any()
    assert from_hf(model)(IDS).shape == (3, 11, 37)
    assert model.num_parameters() == sum(p.numel() for p in from_hf(model).parameters())


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_the_trainer_of_transformers_trains_it(make, tmp_path):
    theirs = to_hf(make())
    labels = torch.full_like(IDS, -100)
    labels[:, 3] = 9
    rows = [
        {"input_ids": ids, "attention_mask": mask, "labels": label}
        for ids, mask, label in zip(IDS, MASK, labels, strict=True)
    ] * 4
    arguments = TrainingArguments(
        tmp_path / "run", max_steps=8, learning_rate=1e-2, logging_steps=1, report_to=[],
        per_device_train_batch_size=3, use_cpu=True, save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    trainer = Trainer(theirs, arguments, train_dataset=rows)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < losses[0] / 2


ORDERS = {
    "helixlm first": "import helixlm\nassert 'torch' not in sys.modules\nimport transformers",
    "Auto classes first": "from transformers import AutoTokenizer, AutoModel\nimport helixlm",
}


@pytest.mark.parametrize("order", ORDERS)
def test_registered_in_either_order(order):
    code = f"""
import json, sys
{ORDERS[order]}
from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING
assert sum(type(x).__name__ == "_Follow" for x in sys.meta_path) == 1
print(json.dumps([
    AutoConfig.for_model("helixlm").model_type,
    [x.__name__ for x in AutoModelForMaskedLM._model_mapping._extra_content],
    [x.__name__ for x in TOKENIZER_MAPPING._extra_content],
]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["helixlm", ["HelixlmConfig"], ["HelixlmKmerConfig"]]
