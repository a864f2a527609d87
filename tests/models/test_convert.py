"""Parity with transformers: logits and every gradient, padded and packed, there and back."""

import pytest
import torch
import torch.nn.functional as F

from helixlm.models.convert import from_hf, settings_to_hf, tensors_to_hf, to_hf
from helixlm.models.heads import MaskedLM, SequenceClassifier
from helixlm.models.init import initialise
from helixlm.models.settings import ConversionError, config_from_hf

EXACT = {"rtol": 0, "atol": 1e-5}
LENGTHS = [20, 13, 7]

# name: family, the model's padding id, the padding that the tokenizer puts, the closing token
SETTINGS = {
    "roberta": ("roberta", 1, 1, 2),
    "bert": ("bert", 0, 0, 3),
    # As published, TinyDNABERT's tokenizer has </s> 1 and <pad> 3, its model padding id 1.
    "tinydnabert": ("roberta", 1, 3, 1),
}


def make_documents(setting):
    """Return three documents with the closing token inside (a join) and at the end."""
    _, _, _, closing = SETTINGS[setting]
    generator = torch.Generator().manual_seed(2)
    documents = [torch.randint(4, 37, (length,), generator=generator) for length in LENGTHS]
    for document in documents:
        document[0] = 0 if setting != "bert" else 2
        document[[4, -1]] = closing
    return documents


def make_padded(setting):
    """Return the documents as padded rows: ids, attention mask."""
    padding = SETTINGS[setting][2]
    documents = make_documents(setting)
    ids = torch.full((3, max(LENGTHS)), padding)
    for row, document in enumerate(documents):
        ids[row, : len(document)] = document
    mask = (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).long()
    return ids, mask


def gradients(model):
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def compare_gradients(ours, hf_model, head):
    expected = gradients(hf_model)
    found = tensors_to_hf(gradients(ours), ours.config.family, head)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(
            found[name], gradient, **EXACT, msg=lambda m, n=name: f"{n}: {m}"
        )
    assert sum(gradient.abs().max() > 1e-4 for gradient in expected.values()) > len(expected) / 2


@pytest.mark.parametrize("path", ["sdpa", "reference"])
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_masked_lm_with_padding(tiny_hf, setting, implementation, path):
    family, pad, *_ = SETTINGS[setting]
    hf_model = tiny_hf(family, pad_token_id=pad, attn_implementation=implementation)
    ours = from_hf(hf_model)
    ours.encoder.attention_path = path
    ids, mask = make_padded(setting)
    expected = hf_model(input_ids=ids, attention_mask=mask).logits
    logits = ours(ids, attention_mask_BL=mask)
    real = mask.bool()
    torch.testing.assert_close(logits[real], expected[real], **EXACT)

    masked = torch.tensor([1, 2, 8, 19, 21, 32, 40, 46])
    labels = torch.arange(8) + 5
    F.cross_entropy(expected.flatten(0, 1)[masked], labels).backward()
    chosen = ours(ids, attention_mask_BL=mask, masked_index_M=masked)
    F.cross_entropy(chosen, labels).backward()
    compare_gradients(ours, hf_model, "masked")


@pytest.mark.parametrize("path", ["sdpa", "reference"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_masked_lm_packed_against_documents_alone(tiny_hf, setting, path):
    family, pad, padding, _ = SETTINGS[setting]
    hf_model = tiny_hf(family, pad_token_id=pad)
    ours = from_hf(hf_model)
    ours.encoder.attention_path = path
    one, two, three = make_documents(setting)
    spare = torch.full((5,), padding)
    ids = torch.stack([torch.cat([one, three, spare]), torch.cat([two, two[:7], three, spare])])
    documents = torch.tensor([[1] * 20 + [2] * 7 + [0] * 5, [1] * 13 + [2] * 7 + [3] * 7 + [0] * 5])
    expected = torch.cat(
        [hf_model(input_ids=d[None]).logits[0] for d in (one, three, two, two[:7], three)]
    )
    masked = documents.flatten().nonzero().flatten()
    logits = ours(ids, document_ids_BL=documents, masked_index_M=masked)
    torch.testing.assert_close(logits, expected, **EXACT)

    labels = torch.arange(len(masked)) % 37
    F.cross_entropy(expected, labels).backward()
    F.cross_entropy(logits, labels).backward()
    compare_gradients(ours, hf_model, "masked")


@pytest.mark.parametrize("setting", SETTINGS)
def test_sequence_classifier(tiny_hf, setting):
    family, pad, *_ = SETTINGS[setting]
    hf_model = tiny_hf(family, "sequence", pad_token_id=pad)
    ours = from_hf(hf_model)
    ids, mask = make_padded(setting)
    expected = hf_model(input_ids=ids, attention_mask=mask).logits
    logits = ours(ids, attention_mask_BL=mask)
    torch.testing.assert_close(logits, expected, **EXACT)
    labels = torch.tensor([0, 2, 1])
    F.cross_entropy(expected, labels).backward()
    F.cross_entropy(logits, labels).backward()
    compare_gradients(ours, hf_model, "sequence")


@pytest.mark.parametrize("family", ["roberta", "bert"])
def test_token_types(tiny_hf, family):
    hf_model = tiny_hf(family)
    ids, types = torch.randint(2, 37, (2, 9)), torch.tensor([[0] * 4 + [1] * 5] * 2)
    expected = hf_model(input_ids=ids, token_type_ids=types).logits
    logits = from_hf(hf_model)(ids, token_type_ids_BL=types)
    torch.testing.assert_close(logits, expected, **EXACT)
    expected.square().mean().backward()
    ours = from_hf(hf_model)
    ours(ids, token_type_ids_BL=types).square().mean().backward()
    compare_gradients(ours, hf_model, "masked")


@pytest.mark.parametrize("head", ["masked", "sequence"])
@pytest.mark.parametrize("family", ["roberta", "bert", "esm", "modernbert"])
def test_there_and_back_is_exact(tiny_hf, family, head):
    hf_model = tiny_hf(family, head, pad_token_id=1)
    ours = from_hf(hf_model)
    back = to_hf(ours)
    assert type(back) is type(hf_model)
    assert back.state_dict().keys() == hf_model.state_dict().keys()
    for name, tensor in hf_model.state_dict().items():
        if "contact_head" in name:  # of proteins, and zero in ours
            assert not back.state_dict()[name].any()
        else:
            assert torch.equal(back.state_dict()[name], tensor), name
    again = from_hf(back)
    for name, tensor in ours.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
        assert tensor.data_ptr() != again.state_dict()[name].data_ptr()
    assert again.config == ours.config
    for name, value in settings_to_hf(ours).items():
        if "global" in name or "local_rope" in name:  # the words of transformers before 5
            continue
        assert back.config.to_dict()[name] == (
            {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"} if name == "id2label" else value
        )


@pytest.mark.parametrize("head", ["masked", "sequence"])
@pytest.mark.parametrize("family", ["roberta", "bert", "esm", "modernbert", "helixlm"])
def test_fresh_models_go_out(tiny_config, family, head):
    config = tiny_config(family)
    ours = MaskedLM(config) if head == "masked" else SequenceClassifier(config, 4, 0.25)
    initialise(ours, config, torch.Generator().manual_seed(1))
    state = torch.get_rng_state()
    hf_model = to_hf(ours)
    assert torch.equal(state, torch.get_rng_state())
    assert hf_model.training
    ids = torch.randint(2, 37, (2, 9))
    torch.testing.assert_close(ours.eval()(ids), hf_model.eval()(input_ids=ids).logits, **EXACT)
    if head == "sequence":
        assert hf_model.config.classifier_dropout == 0.25
        assert hf_model.config.num_labels == 4


@pytest.mark.parametrize("family", ["roberta", "bert"])
def test_a_masked_model_becomes_a_classifier(tiny_hf, family):
    source = tiny_hf(family)
    ours = from_hf(source, head="sequence", num_labels=5, labels=list("abcde"), seed=7)
    for name, tensor in from_hf(source).encoder.state_dict().items():
        assert torch.equal(ours.encoder.state_dict()[name], tensor), name
    assert ours.labels == ("a", "b", "c", "d", "e")
    same = from_hf(source, head="sequence", num_labels=5, seed=7)
    other = from_hf(source, head="sequence", num_labels=5, seed=8)
    assert torch.equal(same.head.output.weight, ours.head.output.weight)
    assert not torch.equal(other.head.output.weight, ours.head.output.weight)
    assert ours.head.output.weight.std().item() == pytest.approx(0.02, rel=0.3)
    assert all(parameter.requires_grad for parameter in ours.parameters())


def test_a_pooler_in_the_weights_is_kept(tiny_hf):
    state = tiny_hf("bert").state_dict()
    state["bert.pooler.dense.weight"] = torch.randn(24, 24)
    state["bert.pooler.dense.bias"] = torch.randn(24)
    config = tiny_hf("bert").config.to_dict()
    ours = from_hf(state, config, head="sequence", num_labels=2)
    assert torch.equal(ours.head.dense.weight, state["bert.pooler.dense.weight"])
    masked = from_hf(state, config, head="masked")  # which has no use for it
    assert torch.equal(masked.head.dense.weight, state["cls.predictions.transform.dense.weight"])


def test_older_and_bare_names(tiny_hf):
    hf_model = tiny_hf("bert")
    expected = from_hf(hf_model).state_dict()
    state = {}
    for name, tensor in hf_model.state_dict().items():
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
        name = name.replace("LayerNorm.bias", "LayerNorm.beta").removeprefix("bert.")
        state[name] = tensor
    state["embeddings.position_ids"] = torch.arange(34)[None]
    state["cls.seq_relationship.weight"] = torch.zeros(2, 24)
    config = {**hf_model.config.to_dict(), "architectures": ["BertForPreTraining"]}
    found = from_hf(state, config).state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_half_precision_weights_are_read_as_float32(tiny_hf):
    hf_model = tiny_hf("roberta")
    half = {name: tensor.half() for name, tensor in hf_model.state_dict().items()}
    ours = from_hf(half, hf_model.config.to_dict() | {"architectures": ["RobertaForMaskedLM"]})
    assert {p.dtype for p in ours.parameters()} == {torch.float32}


MASKED = {"architectures": ["RobertaForMaskedLM"]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model_type": "gpt2"},
            "model_type 'gpt2', expected 'bert', .* or 'helixlm': models of other",
        ),
        ({"hidden_act": "relu"}, "hidden_act 'relu', expected 'gelu'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type 'relative_key'"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings False, expected True"),
        ({"is_decoder": True}, "is_decoder True, expected False"),
        ({"pad_token_id": None}, "does not give pad_token_id"),
        ({"num_attention_heads": 5}, "describes no model.*no multiple of num_heads 5"),
        ({"architectures": ["RobertaModel"]}, "architectures RobertaModel: say which head"),
        ({"architectures": None}, "architectures nothing: say which head"),
        (
            {"vocab_size": 40},
            r"of another shape: .*word_embeddings.weight has \(37, 24\), expected \(40, 24\)",
        ),
        ({"num_hidden_layers": 3}, r"missing: roberta.encoder.layer.2.*and 10 more$"),
        ({"num_hidden_layers": 1}, r"describes: left over: roberta.encoder.layer.1"),
    ],
)
def test_what_does_not_fit_is_refused(tiny_hf, changes, message):
    hf_model = tiny_hf("roberta")
    with pytest.raises(ConversionError, match=f"(?s){message}"):
        from_hf(hf_model.state_dict(), hf_model.config.to_dict() | MASKED | changes)


def test_settings_that_are_left_out_are_those_of_transformers(tiny_hf):
    full = tiny_hf("roberta", hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1)
    sizes = ("vocab", "hidden", "intermediate")
    short = {
        name: value
        for name, value in full.config.to_dict().items()
        if name.startswith(("num_", "max_", "model_type", "pad_"))
        or name in {f"{size}_size" for size in sizes}
    }
    assert config_from_hf(short) == config_from_hf(full.config.to_dict())


def test_untied_weights_are_refused(tiny_hf):
    hf_model = tiny_hf("roberta")
    state = {name: tensor.clone() for name, tensor in hf_model.state_dict().items()}
    state["lm_head.decoder.weight"][3, 3] += 1
    with pytest.raises(ConversionError, match=r"copies that differ: lm_head.decoder.weight"):
        from_hf(state, hf_model.config.to_dict() | MASKED)


@pytest.mark.parametrize(
    ("found", "labels"),
    [
        ({"0": "a", "1": "b", "2": "c"}, ("a", "b", "c")),
        ({0: "a", 1: "b", 2: "c"}, ("a", "b", "c")),
        ({"0": "a", "1": "b"}, ("LABEL_0", "LABEL_1", "LABEL_2")),
        (["a", "b", "c"], ("LABEL_0", "LABEL_1", "LABEL_2")),
        (None, ("LABEL_0", "LABEL_1", "LABEL_2")),
    ],
)
def test_names_of_labels(tiny_hf, found, labels):
    hf_model = tiny_hf("bert", "sequence")
    settings = hf_model.config.to_dict() | {"id2label": found}
    ours = from_hf(hf_model.state_dict(), settings, head="sequence")
    assert ours.labels == labels


@pytest.mark.parametrize("rate", ["0.1", 1.5, -1])
def test_a_dropout_that_is_none_is_refused(tiny_hf, rate):
    hf_model = tiny_hf("bert", "sequence")
    settings = hf_model.config.to_dict() | {"classifier_dropout": rate}
    with pytest.raises(ConversionError, match=r"classifier_dropout .* expected null or a rate"):
        from_hf(hf_model.state_dict(), settings, head="sequence")


def test_trap_6_tinydnabert_pads_with_another_id_than_its_model(tiny_hf):
    """Its model takes </s>, 1, for padding and numbers no position there; its tokenizer pads 3."""
    hf_model = tiny_hf("roberta", pad_token_id=1)
    ids = torch.tensor([[0, 7, 9, 1, 0, 8, 1, 3, 3]])
    mask = (ids != 3).long()
    expected = hf_model(input_ids=ids, attention_mask=mask).logits[0, :7]
    ours = from_hf(hf_model)
    torch.testing.assert_close(ours(ids, attention_mask_BL=mask)[0, :7], expected, **EXACT)
    joined = ours.encoder.embeddings.position(torch.tensor([2, 3, 4, 1, 5, 6, 1]))
    words = ours.encoder.embeddings.word(ids[0, :7]) + ours.encoder.embeddings.token_type.weight[0]
    found = ours.encoder.embeddings(ids, mask, None, None, None)[0, :7]
    torch.testing.assert_close(found, ours.encoder.embeddings.norm(words + joined), **EXACT)


def test_labels_that_do_not_fit_are_refused(tiny_hf):
    with pytest.raises(ConversionError, match="has 3 labels, asked for 2"):
        from_hf(tiny_hf("bert", "sequence"), num_labels=2)
    with pytest.raises(ConversionError, match="hold no classifier: say num_labels"):
        from_hf(tiny_hf("bert"), head="sequence")
    with pytest.raises(ConversionError, match=r"describes: missing: cls.predictions[^;]*$"):
        from_hf(tiny_hf("bert", "sequence"), head="masked")
    with pytest.raises(ConversionError, match="weights without settings"):
        from_hf(tiny_hf("bert").state_dict())
