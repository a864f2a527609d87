"""Published tokenizers by name: which settings of a `TokenizerConfig` each of them fixes.

Those with a fixed vocabulary are made without a text (book, DNABERT, Nucleotide Transformer,
HyenaDNA). The others are byte-pair vocabularies: a preset trains one on the user's corpus, of the
published size and with the published special tokens, ids and rules. The vocabulary that was
published itself is read from its own tokenizer.json by `load_tokenizer`.

References
----------
tinydnabert: ForestsKing/TinyDNABERT, ``2_tokenizer.py``. book: Nivard, Biological language models,
chapter 2. dnabert-3 to -6: jerryji1993/DNABERT, ``bert-config-{3,4,5,6}``. dnabert2: tokenizer.json
of zhihan1996/DNABERT-2-117M. nt-v1, nt-v2: instadeepai/nucleotide-transformer, ``tokenizers.py``.
hyenadna: HazyResearch/hyena-dna, the character tokenizer. gena-lm: AIRI-Institute/GENA_LM. grover:
600 merges as selected in arXiv 2507.18570; its 609 entries and the order of its special tokens are
not confirmed from a file.
"""

from typing import Literal, NamedTuple

PresetName = Literal[
    "tinydnabert",
    "book",
    "dnabert-3",
    "dnabert-4",
    "dnabert-5",
    "dnabert-6",
    "dnabert2",
    "nt-v1",
    "nt-v2",
    "hyenadna",
    "gena-lm",
    "grover",
]


class Preset(NamedTuple):
    """What a preset fixes and what it leaves open."""

    settings: dict[str, object]
    """fields of TokenizerConfig other than their defaults; those not named keep their default"""
    max_tokens: int
    """published longest input in tokens, special tokens counted; it may be changed"""
    free: tuple[str, ...] = ()
    """fields that may be set beside the preset: how a vocabulary is trained where that is not
    published"""


_HOW = ("min_frequency", "method", "sample_every", "part_bp", "max_token_bp")

PRESETS: dict[PresetName, Preset] = {
    "tinydnabert": Preset(
        {
            "kind": "bpe",
            "vocab_size": 1024,
            "min_frequency": 4,
            "method": "sample",
            "sample_every": 10,
            "special_order": "published",
        },
        512,
    ),
    "book": Preset({"kind": "char"}, 512),
    "dnabert-3": Preset({"kind": "kmer", "k": 3, "overlap": True}, 512),
    "dnabert-4": Preset({"kind": "kmer", "k": 4, "overlap": True}, 512),
    "dnabert-5": Preset({"kind": "kmer", "k": 5, "overlap": True}, 512),
    "dnabert-6": Preset({"kind": "kmer", "k": 6, "overlap": True}, 512),
    "dnabert2": Preset(
        {"kind": "bpe", "vocab_size": 4096, "special_order": "dnabert2"}, 512, free=_HOW
    ),
    "nt-v1": Preset({"kind": "kmer", "k": 6, "overlap": False}, 1000),
    "nt-v2": Preset({"kind": "kmer", "k": 6, "overlap": False}, 2048),
    # Of the published sizes 1,026 to 1,000,002 (the longest sequence + 2), the smallest.
    "hyenadna": Preset({"kind": "char"}, 1026),
    "gena-lm": Preset(
        {"kind": "bpe", "vocab_size": 32_000, "special_order": "gena-lm"}, 512, free=_HOW
    ),
    # 600 merges, 4 bases, 5 special tokens, in DNABERT-2's order for want of a published one.
    "grover": Preset(
        {"kind": "bpe", "vocab_size": 609, "special_order": "dnabert2"}, 512, free=_HOW
    ),
}
