"""Checkpoints as they are published, but tiny: config.json word for word, weights random.

Sizes are made small; everything else in the settings is that of the named files.
"""

import json

import torch

SIZES = {
    "vocab_size": 37,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 20,
}
BERT = {
    "attention_probs_dropout_prob": 0.1,
    "gradient_checkpointing": False,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 40,
    "model_type": "bert",
    "position_embedding_type": "absolute",
    "type_vocab_size": 2,
    "use_cache": True,
    **SIZES,
}

CONFIGS = {
    # zhihan1996/DNABERT-2-117M
    "dnabert2": {
        **BERT,
        "_name_or_path": "zhihan1996/DNABERT-2-117M",
        "alibi_starting_size": 40,
        "architectures": ["BertForMaskedLM"],
        "attention_probs_dropout_prob": 0.0,
        "auto_map": {
            "AutoConfig": "configuration_bert.BertConfig",
            "AutoModel": "bert_layers.BertModel",
            "AutoModelForMaskedLM": "bert_layers.BertForMaskedLM",
            "AutoModelForSequenceClassification": "bert_layers.BertForSequenceClassification",
        },
        "classifier_dropout": None,
        "torch_dtype": "float32",
        "transformers_version": "4.28.0",
    },
    # AIRI-Institute/gena-lm-bert-base; its architecture is spelled so.
    "gena": {
        **BERT,
        "architectures": ["BertForPretraining"],
        "auto_map": {"AutoModel": "modeling_bert.BertForPreTraining"},
        "pad_token_id": 3,
        "pre_layer_norm": True,
        "last_layer_norm": False,
        "transformers_version": "4.6.0.dev0",
    },
    # AIRI-Institute/gena-lm-bert-large-t2t: last_layer_norm is meant where it is left out.
    "gena-lastln": {
        **BERT,
        "architectures": ["BertForMaskedLM"],
        "auto_map": {"AutoModel": "modeling_bert.BertForMaskedLM"},
        "layer_norm_eps": 1e-5,
        "pad_token_id": 3,
        "pre_layer_norm": True,
        "transformers_version": "4.6.0.dev0",
    },
    # InstaDeepAI/nucleotide-transformer-v2-500m-multi-species: it names no model_type.
    "nt-v2": {
        **SIZES,
        "add_bias_fnn": False,
        "architectures": [
            "EsmForMaskedLM",
            "EsmForTokenClassification",
            "EsmForSequenceClassification",
        ],
        "attention_probs_dropout_prob": 0.0,
        "auto_map": {
            "AutoConfig": "esm_config.EsmConfig",
            "AutoModelForMaskedLM": "modeling_esm.EsmForMaskedLM",
            "AutoModelForTokenClassification": "modeling_esm.EsmForTokenClassification",
            "AutoModelForSequenceClassification": "modeling_esm.EsmForSequenceClassification",
        },
        "emb_layer_norm_before": False,
        "esmfold_config": None,
        "hidden_dropout_prob": 0.0,
        "initializer_range": 0.02,
        "is_folding_model": False,
        "layer_norm_eps": 1e-12,
        "mask_token_id": 2,
        "max_position_embeddings": 42,
        "pad_token_id": 1,
        "position_embedding_type": "rotary",
        "tie_word_embeddings": False,
        "token_dropout": False,
        "torch_dtype": "float32",
        "transformers_version": "4.32.0.dev0",
        "use_cache": False,
        "vocab_list": None,
    },
    # InstaDeepAI/nucleotide-transformer-500m-human-ref
    "nt-v1": {
        **SIZES,
        "architectures": ["EsmForMaskedLM"],
        "attention_probs_dropout_prob": 0.0,
        "emb_layer_norm_before": False,
        "esmfold_config": None,
        "hidden_dropout_prob": 0.0,
        "initializer_range": 0.02,
        "is_folding_model": False,
        "layer_norm_eps": 1e-12,
        "mask_token_id": 2,
        "max_position_embeddings": 42,
        "model_type": "esm",
        "pad_token_id": 1,
        "position_embedding_type": "absolute",
        "tie_word_embeddings": False,
        "token_dropout": True,
        "use_cache": False,
        "vocab_list": None,
    },
    # zhihan1996/DNA_bert_6
    "dnabert": {
        **BERT,
        "architectures": ["BertForMaskedLM"],
        "auto_map": {
            "AutoConfig": "configuration_bert.BertConfig",
            "AutoModel": "dnabert_layer.BertModel",
            "AutoModelForMaskedLM": "dnabert_layer.BertForMaskedLM",
            "AutoModelForSequenceClassification": "dnabert_layer.DNABertForSequenceClassification",
        },
        "num_rnn_layer": 1,
        "pad_token_id": 0,
        "rnn": "lstm",
        "rnn_dropout": 0.0,
        "rnn_hidden": 768,
        "split": 10,
    },
}

_LINEAR = ("weight", "bias")


def shapes_of(kind, config):
    """The tensors that a published file holds, and their shapes."""
    width, inner, size = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    square, vector, places = (width, width), (width,), config["max_position_embeddings"]
    if kind.startswith("nt"):
        head = {
            "esm.embeddings.word_embeddings.weight": (size, width),
            "esm.embeddings.position_embeddings.weight": (places, width),
            "esm.encoder.emb_layer_norm_after.weight": vector,
            "esm.encoder.emb_layer_norm_after.bias": vector,
            "esm.contact_head.regression.weight": (1, 6),
            "esm.contact_head.regression.bias": (1,),
            "lm_head.dense.weight": square,
            "lm_head.dense.bias": vector,
            "lm_head.layer_norm.weight": vector,
            "lm_head.layer_norm.bias": vector,
            "lm_head.decoder.weight": (size, width),
            "lm_head.bias": (size,),
        }
        layer = {f"attention.self.{x}": square for x in ("query", "key", "value")}
        layer |= {"attention.output.dense": square, "attention.LayerNorm": None, "LayerNorm": None}
        gated = kind == "nt-v2"
        layer |= {
            "intermediate.dense": (inner * (1 + gated), width),
            "output.dense": (width, inner),
        }
        no_bias = ("intermediate.dense", "output.dense") if gated else ()
        prefix = "esm.encoder.layer"
    else:
        head = {
            "bert.embeddings.word_embeddings.weight": (size, width),
            "bert.embeddings.token_type_embeddings.weight": (2, width),
            "bert.embeddings.LayerNorm.weight": vector,
            "bert.embeddings.LayerNorm.bias": vector,
            "cls.predictions.transform.dense.weight": square,
            "cls.predictions.transform.dense.bias": vector,
            "cls.predictions.transform.LayerNorm.weight": vector,
            "cls.predictions.transform.LayerNorm.bias": vector,
            "cls.predictions.decoder.bias": (size,),
        }
        layer = {"attention.output.dense": square}
        prefix, no_bias = "bert.encoder.layer", ()
        if kind == "dnabert2":
            layer |= {"attention.self.Wqkv": (3 * width, width), "mlp.wo": (width, inner)}
            layer |= {"mlp.gated_layers": (2 * inner, width)}
            layer |= {"attention.output.LayerNorm": None, "mlp.layernorm": None}
            no_bias = ("mlp.gated_layers",)
        else:
            head |= {
                "bert.embeddings.position_embeddings.weight": (
                    config["max_position_embeddings"],
                    width,
                ),
                "bert.embeddings.position_ids": (1, places),
                "bert.pooler.dense.weight": square,
                "bert.pooler.dense.bias": vector,
                "cls.predictions.bias": (size,),
                "cls.seq_relationship.weight": (2, width),
                "cls.seq_relationship.bias": (2,),
            }
            layer |= {f"attention.self.{x}": square for x in ("query", "key", "value")}
            layer |= {"intermediate.dense": (inner, width), "output.dense": (width, inner)}
            norms = ("attention.output.LayerNorm", "output.LayerNorm")
            if kind.startswith("gena"):
                norms = ("pre_attention_ln", "post_attention_ln")
            layer |= dict.fromkeys(norms)
        if kind == "gena-lastln":
            head |= {f"bert.encoder.last_layer_ln.{x}": vector for x in _LINEAR}
    for n in range(config["num_hidden_layers"]):
        for name, shape in layer.items():
            head[f"{prefix}.{n}.{name}.weight"] = shape or vector
            if name not in no_bias:
                head[f"{prefix}.{n}.{name}.bias"] = (shape or vector)[:1]
    return head


def weights_of(kind, seed=0, **sizes):
    """Random tensors under the published names, copies alike."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in shapes_of(kind, CONFIGS[kind] | sizes).items():
        tensors[name] = torch.randn(shape, generator=generator) * 0.3
        if name.endswith(("LayerNorm.weight", "_ln.weight", "norm.weight", "after.weight")):
            tensors[name] += 1
    if "cls.predictions.bias" in tensors:
        tensors["cls.predictions.bias"] = tensors["cls.predictions.decoder.bias"].clone()
    if "cls.predictions.decoder.bias" in tensors:
        word = tensors["bert.embeddings.word_embeddings.weight"]
        tensors["cls.predictions.decoder.weight"] = word.clone()
    return tensors


def publish(kind, folder, **sizes):
    """Write the folder of a checkpoint as it is published: settings, and weights in a pickle."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIGS[kind] | sizes))
    torch.save(weights_of(kind, **sizes), folder / "pytorch_model.bin")
    return folder
