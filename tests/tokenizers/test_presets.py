"""Every preset: its published ids, the bases it covers, and what transformers makes of it."""

import errno
import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from helixlm.errors import StateError
from helixlm.tokenizers.base import TokenizerConfig, in_its_case
from helixlm.tokenizers.bpe import bpe_tokenizer
from helixlm.tokenizers.build import build_tokenizer
from helixlm.tokenizers.hf import load_tokenizer
from helixlm.tokenizers.presets import PRESETS, PresetName
from helixlm.tokenizers.spread import spread

NAMES = list(get_args(PresetName))
OVERLAPPING = [name for name in NAMES if name.startswith("dnabert-")]
TEXT = [
    "ACGTGTACNTGCACGGANCGACTAGTCTGA",
    "ACGTACGTNNNNNNNNNNNNNNNNACGTTGCA",
    "acgtACGTRYacgttgca-ACGTGATTACA",
    "GATTACA[MASK]GATTACA<mask>ACGT",
    "AC",
    "",
]
DNA = st.text("ACGTacgtNR-", max_size=80)


@pytest.fixture(scope="module")
def presets(lines):
    """Each preset, trained on little where it is trained."""
    long = [line + "N" * 12 + line[::-1] for line in lines]
    return {name: build_tokenizer(TokenizerConfig(preset=name), long) for name in NAMES}


@pytest.fixture(scope="module")
def folders(presets, tmp_path_factory):
    root = tmp_path_factory.mktemp("presets")
    for name, tokenizer in presets.items():
        tokenizer.save(root / name)
    return root


# Published facts: kind, first tokens by id, what is put around, padding side, longest input.
HYENADNA = "[CLS] [SEP] [BOS] [MASK] [PAD] [RESERVED] [UNK] A C G T N"
BERT = "[UNK] [CLS] [SEP] [PAD] [MASK]"
DNABERT = "[PAD] [UNK] [CLS] [SEP] [MASK]"
FACTS = {
    "tinydnabert": ("bpe", "<s> </s> <unk> <pad> <mask> A C G T", "<s>", "</s>", "right", 512),
    "book": ("char", "A T C G N U i R Y K M S W B D H V - [UNK]", None, None, "right", 512),
    "dnabert-3": ("kmer", f"{DNABERT} AAA AAT AAC AAG", "[CLS]", "[SEP]", "right", 512),
    "dnabert-4": ("kmer", f"{DNABERT} AAAA AAAT", "[CLS]", "[SEP]", "right", 512),
    "dnabert-5": ("kmer", f"{DNABERT} AAAAA", "[CLS]", "[SEP]", "right", 512),
    "dnabert-6": ("kmer", f"{DNABERT} AAAAAA", "[CLS]", "[SEP]", "right", 512),
    "dnabert2": ("bpe", f"{BERT} A C G T", "[CLS]", "[SEP]", "right", 512),
    "nt-v1": ("kmer", "<unk> <pad> <mask> <cls> AAAAAA", "<cls>", None, "right", 1000),
    "nt-v2": (
        "kmer", "<unk> <pad> <mask> <cls> <eos> <bos> AAAAAA", "<cls>", None, "right", 2048
    ),
    "hyenadna": ("char", HYENADNA, "[CLS]", "[SEP]", "left", 1026),
    "gena-lm": ("bpe", f"{BERT} - A C G T", "[CLS]", "[SEP]", "right", 512),
    "grover": ("bpe", f"{BERT} A C G T", "[CLS]", "[SEP]", "right", 512),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_has_the_published_ids(presets, folders, name):
    kind, first, bos, eos, side, limit = FACTS[name]
    tokenizer = presets[name]
    tokens = first.split()
    assert (tokenizer.kind, tokenizer.tokens[: len(tokens)]) == (kind, tokens)
    ids = {token: id_ for id_, token in enumerate(tokenizer.tokens)}
    assert tokenizer.special[:2] == (ids.get(bos), ids.get(eos))
    brackets = "<{}>" if "<unk>" in ids else "[{}]"
    for role, found in zip(("unk", "pad", "mask"), tokenizer.special[2:], strict=True):
        expected = brackets.format(role if "<unk>" in ids else role.upper())
        assert found == ids[expected]
    assert tokenizer.max_tokens == limit
    content = json.loads((folders / name / "tokenizer_config.json").read_text())
    assert (content["padding_side"], content["model_max_length"]) == (side, limit)


def test_trained_presets_have_the_published_size_and_method():
    def fixed(name):
        config = TokenizerConfig(preset=name)
        return config.kind, config.vocab_size, config.special_order

    assert fixed("tinydnabert") == ("bpe", 1024, "published")
    assert fixed("dnabert2") == ("bpe", 4096, "dnabert2")
    assert fixed("gena-lm") == ("bpe", 32_000, "gena-lm")
    assert fixed("grover") == ("bpe", 609, "dnabert2")  # 5 special tokens, 4 bases, 600 merges
    tiny = TokenizerConfig(preset="tinydnabert")
    assert (tiny.min_frequency, tiny.method, tiny.sample_every) == (4, "sample", 10)
    assert TokenizerConfig(preset="dnabert2", min_frequency=2).min_frequency == 2


@pytest.mark.parametrize("name", NAMES)
def test_a_configuration_reads_its_own_dump(name):
    config = TokenizerConfig(preset=name)
    assert TokenizerConfig(**config.model_dump()) == config
    assert TokenizerConfig(preset=name, max_tokens=77).max_tokens == 77
    assert TokenizerConfig(preset=name, max_tokens=None).max_tokens is None
    assert config.needs_text == (FACTS[name][0] == "bpe")
    for field, value in PRESETS[name].settings.items():
        assert getattr(TokenizerConfig(preset=name, **{field: value}), field) == value


def test_limits_reach_the_tokenizer():
    for name in ("dnabert-3", "nt-v1", "hyenadna", "book"):
        made = build_tokenizer(TokenizerConfig(preset=name, max_tokens=99))
        assert made.max_tokens == 99


# Bases


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=80)
@given(sequence=DNA, run=st.integers(0, 25))
@example(sequence="ACGTGTACN", run=10)
def test_offsets_cover_every_base(presets, name, sequence, run):
    tokenizer = presets[name]
    sequence = sequence + "N" * run + sequence[::-1]
    ids, starts, ends = encoding = tokenizer.encode_with_offsets(sequence)
    assert ids.tolist() == tokenizer.encode(sequence).tolist()
    assert len(ids) == len(starts) == len(ends)
    if tokenizer.overlap_bp:
        if len(sequence) < tokenizer.k:
            assert len(ids) == 0
            return
        assert (np.diff(starts) == 1).all()
        assert (ends - starts == tokenizer.overlap_bp + 1).all()
    else:
        assert (starts[1:] == ends[:-1]).all()
    covered = spread(np.ones(len(ids)), encoding, len(sequence))
    assert covered.tolist() == [1.0] * len(sequence)
    # The total of the sums is that of each token's value times its bases.
    values = np.arange(len(ids), dtype=np.float64)
    assert spread(values, encoding, len(sequence), how="sum").sum() == pytest.approx(
        (values * (ends - starts)).sum()
    )
    # A token that stands for bases spells those that it covers, in the tokenizer's case.
    text = sequence if tokenizer.keeps_case else sequence.upper()
    for id_, start, end in zip(ids.tolist(), starts.tolist(), ends.tolist(), strict=True):
        if id_ not in tokenizer.special_ids:
            assert tokenizer.tokens[id_] == text[start:end]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in OVERLAPPING])
@settings(deadline=None, max_examples=60)
@given(sequence=st.text("ACGTacgtNR", max_size=60).filter(lambda s: "N" * 10 not in s))
def test_round_trip_with_n_and_lower_case(presets, name, sequence):
    tokenizer = presets[name]
    (upper,) = in_its_case(tokenizer, [sequence])
    known = "ACGTNR" if name == "book" else "ACGT"
    expected = "".join(c if c in known else "N" for c in sequence.upper())
    assert tokenizer.decode(tokenizer.encode(upper)) == expected


# GENA-LM's and DNABERT-2's rules


def test_gena_lm_reads_a_run_of_n_as_one_gap():
    tokenizer = bpe_tokenizer([("A", "C")], special_order="gena-lm")
    ids, starts, ends = tokenizer.encode_with_offsets("AC" + "N" * 9 + "G" + "N" * 25 + "TN-")
    assert ids.tolist() == [10, *[0] * 9, 8, 5, 9, 0, 5]
    assert starts.tolist() == [0, *range(2, 11), 11, 12, 37, 38, 39]
    assert ends.tolist() == [2, *range(3, 12), 12, 37, 38, 39, 40]
    assert tokenizer.special == (1, 2, 0, 3, 4)
    assert tokenizer.special_ids.tolist() == [0, 1, 2, 3, 4, 5]  # a gap is never masked
    assert tokenizer.decode(ids) == "ACNNNNNNNNNG-TN-"  # how long a gap was is lost
    # White space at the ends has no token, and offsets do not move.
    assert tokenizer.encode_with_offsets("  AC").starts.tolist() == [2]


def published_like(name, merges):
    """The pipeline as it is published, put together with the tokenizers library alone."""
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    letters = [*"-ACGT"] if name == "gena-lm" else [*"ACGT"]
    tokens = [*special, *letters, *(left + right for left, right in merges)]
    vocab = {token: i for i, token in enumerate(tokens)}
    library = Tokenizer(models.BPE(vocab, merges, unk_token="[UNK]"))
    if name == "gena-lm":
        library.normalizer = normalizers.Sequence(
            [normalizers.Strip(), normalizers.Replace(Regex("N{10,}"), "-")]
        )
    else:
        library.pre_tokenizer = pre_tokenizers.Whitespace()
    library.add_special_tokens(special)
    library.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return library


@pytest.mark.parametrize("name", ["dnabert2", "gena-lm"])
@settings(deadline=None, max_examples=100)
@given(sequence=st.text("ACGTacN- ", max_size=50), run=st.integers(0, 15))
def test_published_rules_of_bpe(name, sequence, run):
    merges = [("A", "C"), ("G", "T"), ("AC", "GT"), ("A", "A")]
    sequence = f"{sequence}{'N' * run}{sequence}"
    ours = bpe_tokenizer(merges, special_order=name)
    theirs = published_like(name, merges).encode(sequence)
    assert ours.add_special(ours.encode(sequence)).tolist() == theirs.ids


# Folders

PLAIN = "import json, sys\nsys.modules['helixlm'] = None\nfrom transformers import AutoTokenizer\n"
WITH = "import json, sys\nimport helixlm.tokenizers.auto\nfrom transformers import AutoTokenizer\n"
SCRIPT = (
    "found = {}\n"
    "folders, text = json.load(sys.stdin)\n"
    "for name, folder in folders.items():\n"
    "    auto = AutoTokenizer.from_pretrained(folder)\n"
    "    offsets = auto(text, return_offsets_mapping=True, add_special_tokens=False)\n"
    "    found[name] = {\n"
    "        'ids': auto(text)['input_ids'],\n"
    "        'offsets': offsets['offset_mapping'],\n"
    "        'bare': offsets['input_ids'],\n"
    "        'map': {k: v for k, v in auto.special_tokens_map.items() if isinstance(v, str)},\n"
    "        'all': sorted(auto.all_special_ids), 'size': len(auto),\n"
    "        'side': auto.padding_side, 'limit': auto.model_max_length,\n"
    "        'padded': auto(['ACGTACGTA', 'ACGTACG'], padding=True)['input_ids'],\n"
    "    }\n"
    "print(json.dumps(found))\n"
)


def in_a_process(start, folders, names):
    done = subprocess.run(
        [sys.executable, "-c", start + SCRIPT],
        input=json.dumps([{name: str(folders / name) for name in names}, TEXT]),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def found_by_transformers(folders):
    """What transformers makes of each folder: without helixlm, but for overlapping k-mers."""
    plain = [name for name in NAMES if name not in OVERLAPPING]
    return in_a_process(PLAIN, folders, plain) | in_a_process(WITH, folders, OVERLAPPING)


@pytest.mark.parametrize("name", NAMES)
def test_transformers_reads_a_saved_preset_alike(presets, folders, found_by_transformers, name):
    tokenizer, found = presets[name], found_by_transformers[name]
    encodings = [tokenizer.encode_with_offsets(text) for text in TEXT]
    assert found["bare"] == [encoding.ids.tolist() for encoding in encodings]
    assert found["ids"] == [tokenizer.add_special(e.ids).tolist() for e in encodings]
    assert [[end for _, end in pairs] for pairs in found["offsets"]] == [
        e.ends.tolist() for e in encodings
    ]
    starts = [[start for start, _ in pairs] for pairs in found["offsets"]]
    if name == "gena-lm":
        starts[1][3] -= 15  # transformers places a gap of 16 at its last N
    assert starts == [e.starts.tolist() for e in encodings]
    _, _, bos, eos, side, limit = FACTS[name]
    roles, special = found["map"], tokenizer.special
    assert [tokenizer.tokens.index(roles[f"{r}_token"]) for r in ("unk", "pad", "mask")] == list(
        special[2:]
    )
    if name == "book":
        assert (roles["cls_token"], roles["sep_token"]) == ("[CLS]", "[SEP]")
    else:
        assert (roles["cls_token"], roles.get("sep_token")) == (bos, eos)
    assert (found["side"], found["limit"], found["size"]) == (side, limit, tokenizer.vocab_size)
    gap = [5] if name == "gena-lm" else []  # a letter to transformers
    assert sorted(found["all"] + gap) == tokenizer.special_ids.tolist()
    long, short = found["padded"]
    row = tokenizer.add_special(tokenizer.encode("ACGTACG")).tolist()
    pads = [special.pad] * (len(long) - len(row))
    assert short == (pads + row if side == "left" else row + pads)
    again = load_tokenizer(folders / name)
    assert type(again) is type(tokenizer)
    assert (again.sha256, again.special, again.max_tokens) == (tokenizer.sha256, special, limit)


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_of_types_that_transformers_4_reads(folders, found_by_transformers, name):
    """It stops at a list of extra_special_tokens; both versions read additional ones."""
    content = json.loads((folders / name / "tokenizer_config.json").read_text())
    assert "extra_special_tokens" not in content
    more = {"nt-v1": ["<eos>", "<bos>"], "nt-v2": ["<eos>", "<bos>"], "hyenadna": ["[RESERVED]"]}
    assert content.get("additional_special_tokens", []) == more.get(name, [])
    tokens = load_tokenizer(folders / name).tokens
    assert {tokens.index(token) for token in more.get(name, [])} <= set(
        found_by_transformers[name]["all"]
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_leaves_what_was_there(presets, tmp_path, monkeypatch, name):
    presets["book" if name != "book" else "nt-v2"].save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(self, *args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    for operation in ("write_bytes", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, operation, full)
            with pytest.raises(StateError, match=r"cannot be written: No space left on device"):
                presets[name].save(tmp_path)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
