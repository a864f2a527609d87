"""DNABERT-2, Nucleotide Transformer v2 and GENA-LM, written out slowly from their descriptions.

One document at a time, one token at a time, in float64, by the published names of weights. Nothing
here is of helixlm. Comes in: tensors by name, as numpy arrays, and token ids without padding. Goes
out: hidden vectors after the last layer and logits, (L, C) and (L, V).
"""

import math

import numpy as np


def gelu(x):
    return np.array([0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in x.ravel()]).reshape(
        x.shape
    )


def silu(x):
    return x / (1 + np.exp(-x))


def linear(weights, name, x):
    bias = weights.get(f"{name}.bias", 0.0)
    return np.array([weights[f"{name}.weight"] @ row for row in x]) + bias


def norm(weights, name, x, eps):
    rows = []
    for row in x:
        centred = row - row.mean()
        scaled = centred / math.sqrt((centred**2).mean() + eps)
        rows.append(scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"])
    return np.array(rows)


def attend(q, k, v, num_heads, *, slopes=None, base=None):
    """Mix values head by head and query by query; q, k and v are (L, C)."""
    length, width = q.shape
    size = width // num_heads
    mixed = np.zeros_like(v)
    for head in range(num_heads):
        part = slice(head * size, (head + 1) * size)
        for i in range(length):
            scores = []
            for j in range(length):
                query, key = q[i, part], k[j, part]
                if base is not None:
                    query, key = rotate(query, i, base), rotate(key, j, base)
                score = query @ key / math.sqrt(size)
                scores.append(score - (slopes[head] * abs(i - j) if slopes is not None else 0))
            weights = np.exp(np.array(scores) - max(scores))
            mixed[i, part] = weights / weights.sum() @ v[:, part]
    return mixed


def rotate(vector, position, base):
    """Turn dimensions n and n + half as one complex number each."""
    half = len(vector) // 2
    turned = (vector[:half] + 1j * vector[half:]) * np.exp(
        1j * position / base ** (np.arange(half) / half)
    )
    return np.concatenate([turned.real, turned.imag])


def slopes_of(num_heads):
    """ALiBi: 2^(-8/n), ... for a power of two; else the rest from the next power, every other."""
    if num_heads & (num_heads - 1) == 0:
        return [2 ** (-8 * (i + 1) / num_heads) for i in range(num_heads)]
    lower = 1 << (num_heads.bit_length() - 1)
    return slopes_of(lower) + slopes_of(2 * lower)[::2][: num_heads - lower]


def bert_head(weights, hidden, eps, bias):
    x = gelu(linear(weights, "cls.predictions.transform.dense", hidden))
    x = norm(weights, "cls.predictions.transform.LayerNorm", x, eps)
    return x @ weights["bert.embeddings.word_embeddings.weight"].T + weights[bias]


def bert_embeddings(weights, ids):
    """Words and types; positions, counted from 0, where there are any."""
    name = "bert.embeddings.{}_embeddings.weight"
    x = weights[name.format("word")][ids] + weights[name.format("token_type")][0]
    positions = weights.get(name.format("position"))
    return x if positions is None else x + positions[: len(ids)]


def dnabert2(weights, ids, config):
    eps, heads = config["layer_norm_eps"], config["num_attention_heads"]
    x = norm(weights, "bert.embeddings.LayerNorm", bert_embeddings(weights, ids), eps)
    for n in range(config["num_hidden_layers"]):
        layer = f"bert.encoder.layer.{n}"
        q, k, v = np.split(linear(weights, f"{layer}.attention.self.Wqkv", x), 3, axis=1)
        mixed = attend(q, k, v, heads, slopes=slopes_of(heads))
        x = x + linear(weights, f"{layer}.attention.output.dense", mixed)
        x = norm(weights, f"{layer}.attention.output.LayerNorm", x, eps)
        gate, rest = np.split(linear(weights, f"{layer}.mlp.gated_layers", x), 2, axis=1)
        x = x + linear(weights, f"{layer}.mlp.wo", gelu(gate) * rest)
        x = norm(weights, f"{layer}.mlp.layernorm", x, eps)
    return x, bert_head(weights, x, eps, "cls.predictions.decoder.bias")


def gena(weights, ids, config):
    eps, heads = config["layer_norm_eps"], config["num_attention_heads"]
    x = norm(weights, "bert.embeddings.LayerNorm", bert_embeddings(weights, ids), eps)
    for n in range(config["num_hidden_layers"]):
        layer = f"bert.encoder.layer.{n}"
        y = norm(weights, f"{layer}.pre_attention_ln", x, eps)
        q, k, v = (
            linear(weights, f"{layer}.attention.self.{name}", y)
            for name in ("query", "key", "value")
        )
        x = x + linear(weights, f"{layer}.attention.output.dense", attend(q, k, v, heads))
        y = norm(weights, f"{layer}.post_attention_ln", x, eps)
        y = gelu(linear(weights, f"{layer}.intermediate.dense", y))
        x = x + linear(weights, f"{layer}.output.dense", y)
    if config.get("last_layer_norm", True):
        x = norm(weights, "bert.encoder.last_layer_ln", x, eps)
    return x, bert_head(weights, x, eps, "cls.predictions.bias")


def nt_v2(weights, ids, config):
    eps, heads = config["layer_norm_eps"], config["num_attention_heads"]
    x = weights["esm.embeddings.word_embeddings.weight"][ids]
    for n in range(config["num_hidden_layers"]):
        layer = f"esm.encoder.layer.{n}"
        y = norm(weights, f"{layer}.attention.LayerNorm", x, eps)
        q, k, v = (
            linear(weights, f"{layer}.attention.self.{name}", y)
            for name in ("query", "key", "value")
        )
        mixed = attend(q, k, v, heads, base=10_000)
        x = x + linear(weights, f"{layer}.attention.output.dense", mixed)
        y = norm(weights, f"{layer}.LayerNorm", x, eps)
        gate, rest = np.split(linear(weights, f"{layer}.intermediate.dense", y), 2, axis=1)
        x = x + linear(weights, f"{layer}.output.dense", silu(gate) * rest)
    x = norm(weights, "esm.encoder.emb_layer_norm_after", x, eps)
    y = norm(weights, "lm_head.layer_norm", gelu(linear(weights, "lm_head.dense", x)), eps)
    return x, linear(weights, "lm_head.decoder", y) + weights["lm_head.bias"]
