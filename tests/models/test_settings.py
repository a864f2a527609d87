"""config.json there and back, for every configuration; and whatever it holds, one clear error."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.published import CONFIGS
from transformers import AutoConfig

from helixlm.models.config import EncoderConfig
from helixlm.models.hyena_config import HyenaConfig
from helixlm.models.names import NAMES
from helixlm.models.settings import WORDS, ConversionError, config_from_hf, config_to_hf

RATES = st.sampled_from([0.0, 0.1, 0.25])
FLAGS = st.booleans()


@st.composite
def configs(draw):
    """Any encoder that may be saved."""
    family = draw(st.sampled_from(["bert", "roberta", "esm", "modernbert", "helixlm"]))
    heads, layers = draw(st.integers(1, 4)), draw(st.integers(1, 7))
    values = {
        "family": family,
        "vocab_size": draw(st.integers(8, 50)),
        "hidden_size": heads * 2 * draw(st.integers(1, 6)),
        "num_layers": layers,
        "num_heads": heads,
        "intermediate_size": draw(st.integers(1, 90)),
        "max_positions": draw(st.integers(9, 600)),
        "pad_token_id": draw(st.integers(0, 7)),
        "hidden_dropout": draw(RATES),
        "attention_dropout": draw(RATES),
        "norm_eps": draw(st.sampled_from([1e-12, 1e-5, 0.1])),
        "initializer_range": draw(st.sampled_from([0.02, 0.6])),
    }
    if family in ("bert", "roberta"):
        values["type_vocab_size"] = draw(st.integers(1, 3))
        values["initialisation"] = draw(st.sampled_from(["normal", "local"]))
    elif family == "esm":
        values |= {
            "norm": "pre",
            "type_vocab_size": 0,
            "positions": draw(st.sampled_from(["learned", "rotary"])),
            "embedding_norm": draw(FLAGS),
            "tied_decoder": draw(FLAGS),
            "token_dropout": draw(FLAGS),
            "mask_token_id": draw(st.integers(0, 7)),
        }
    elif family == "modernbert":
        every = draw(st.integers(1, 4))
        biases = draw(FLAGS)
        values |= {
            "attention_dropout": values["hidden_dropout"],
            "positions": "rotary",
            "norm": "pre",
            "first_norm": False,
            "activation": "geglu",
            "type_vocab_size": 0,
            "global_every": every,
            "window": None if every == 1 else draw(st.integers(1, 99)),
            "rotary_base": draw(st.sampled_from([160_000.0, 5e5])),
            "local_rotary_base": draw(st.sampled_from([10_000.0, 5e3])),
            "up_bias": biases,
            "down_bias": biases,
            "pooling": draw(st.sampled_from(["first", "mean"])),
        }
        for name in ("attention_bias", "norm_bias", "head_bias", "tied_decoder"):
            values[name] = draw(FLAGS)
    else:
        values |= {
            "positions": draw(st.sampled_from(["learned", "rotary", "alibi"])),
            "norm": draw(st.sampled_from(["pre", "post"])),
            "activation": draw(st.sampled_from(["gelu", "geglu", "swiglu"])),
            "sequence_head": draw(st.sampled_from(["roberta", "bert", "modernbert", "dnagrinder"])),
            "type_vocab_size": draw(st.integers(0, 3)),
        }
        for name in ("first_norm", "final_norm", "embedding_norm", "up_bias", "tied_decoder"):
            values[name] = draw(FLAGS)
    return EncoderConfig(**values)


@settings(deadline=None)
@given(configs())
def test_there_and_back_through_a_file(config):
    assert config_from_hf(json.loads(json.dumps(config_to_hf(config)))) == config


@settings(deadline=None, max_examples=50)
@given(configs())
def test_there_and_back_through_the_class_of_transformers(config):
    """Its own way to write a setting, as the kinds of layers of a ModernBERT, means the same."""
    theirs = AutoConfig.for_model(**config_to_hf(config))
    found = config_from_hf(json.loads(theirs.to_json_string(use_diff=False)))
    layers = range(config.num_layers)
    assert [found.sees_all(n) for n in layers] == [config.sees_all(n) for n in layers]
    # Where no layer has a window, transformers does not keep what a second one would begin.
    same = {"global_every": config.global_every, "window": config.window}
    if all(config.sees_all(n) for n in layers):
        same |= {"local_rotary_base": config.local_rotary_base}
    assert found.model_copy(update=same) == config


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)
BOOK = {
    "model_type": "modernbert",
    "layer_types": ["full_attention", "sliding_attention"],
    "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 8e4}},
    **{key: value for key, value in CONFIGS["nt-v2"].items() if key.startswith(("num", "hidden"))},
    "intermediate_size": 20,
    "vocab_size": 37,
    "max_position_embeddings": 42,
    "pad_token_id": 1,
}


@pytest.mark.parametrize("kind", [*CONFIGS, "book"])
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_whatever_config_json_holds_is_a_model_or_one_error(kind, data):
    found = dict(CONFIGS.get(kind, BOOK))
    names = sorted(
        {*found, *WORDS["bert"].only, *WORDS["modernbert"].defaults, "alibi_starting_size"}
    )
    for name in data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3)):
        found[name] = data.draw(JSON)
    try:
        config = config_from_hf(found)
    except ConversionError as error:
        assert "config.json" in str(error)
    else:
        assert isinstance(config, EncoderConfig)


OTHERS = {"hyenadna": {"pad_vocab_size_multiple"}}  # what rows of the embedding are rounded to


def test_every_dialect_has_names_and_words_of_its_own_settings():
    assert NAMES.keys() == WORDS.keys()
    for dialect, words in WORDS.items():
        kind = HyenaConfig if dialect == "hyenadna" else EncoderConfig
        fields = set(kind.model_fields)
        assert set(words.settings) | set(words.fixed) <= fields, dialect
        assert not set(words.settings) & set(words.fixed), dialect
        assert set(words.defaults) <= set(words.settings.values()) | OTHERS.get(dialect, set())
