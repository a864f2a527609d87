"""Folders: the same ids in transformers, files of others, and every way a folder can be wrong."""

import errno
import itertools
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import (
    AddedToken,
    ByteLevelBPETokenizer,
    CharBPETokenizer,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertTokenizer,
    EsmTokenizer,
    ModernBertConfig,
    RobertaConfig,
    RobertaTokenizer,
)

from helixlm.errors import StateError
from helixlm.tokenizers.base import SPECIAL_ORDERS, TokenizerError
from helixlm.tokenizers.bpe import BpeTokenizer
from helixlm.tokenizers.char import CharTokenizer
from helixlm.tokenizers.hf import load_tokenizer

NAMES = ["bpe", "published", "char", "book"]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
DNA = st.text("ACGTacgtNnRYi-", max_size=80)
SPECIAL = st.sampled_from(["<s>", "</s>", "<unk>", "<pad>", "<mask>", "[MASK]", "[UNK]", "[CLS]"])
ANYTHING = st.lists(DNA | SPECIAL | TEXT, max_size=4).map("".join)


@pytest.fixture(scope="module")
def saved(request, tmp_path_factory):
    """Each tokenizer, its folder, and what transformers makes of it."""
    made = {}
    for name in NAMES:
        tokenizer = request.getfixturevalue(name)
        folder = tmp_path_factory.mktemp(name)
        tokenizer.save(folder)
        made[name] = (tokenizer, folder, AutoTokenizer.from_pretrained(folder))
    return made


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=150)
@given(sequence=ANYTHING)
@example(sequence="")
@example(sequence="acgt<mask>NNRY</s>ACGT")
def test_transformers_gives_the_same_ids(saved, name, sequence):
    tokenizer, _, auto = saved[name]
    ids, starts, ends = tokenizer.encode_with_offsets(sequence)
    theirs = auto(sequence, add_special_tokens=False, return_offsets_mapping=True)
    assert theirs["input_ids"] == ids.tolist() == tokenizer.encode(sequence).tolist()
    assert theirs["offset_mapping"] == list(zip(starts.tolist(), ends.tolist(), strict=True))
    assert auto(sequence)["input_ids"] == tokenizer.add_special(ids).tolist()


@pytest.mark.parametrize("name", NAMES)
def test_a_loaded_folder_is_the_tokenizer_that_was_saved(saved, name, lines):
    tokenizer, folder, _ = saved[name]
    again = load_tokenizer(folder)
    assert type(again) is type(tokenizer)
    assert (again.sha256, again.special, again.tokens, again.max_tokens) == (
        tokenizer.sha256, tokenizer.special, tokenizer.tokens, 512
    )  # fmt: skip
    assert again.special_ids.tolist() == tokenizer.special_ids.tolist()
    text = [*lines[:5], "ACGTNacgtn<mask>", ""]
    for ours, theirs in zip(again.encode_batch(text), tokenizer.encode_batch(text), strict=True):
        assert ours.tolist() == theirs.tolist()
    assert sorted(path.name for path in folder.iterdir()) == [
        "tokenizer.json", "tokenizer_config.json"
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_transformers_knows_the_special_tokens_and_limits(saved, name):
    tokenizer, _, auto = saved[name]
    special = tokenizer.special
    assert (auto.bos_token_id, auto.eos_token_id) == (special.bos, special.eos)
    assert (auto.unk_token_id, auto.pad_token_id, auto.mask_token_id) == special[2:]
    assert sorted(set(auto.all_special_ids)) == tokenizer.special_ids.tolist()
    assert len(auto) == tokenizer.vocab_size
    assert (auto.model_max_length, auto.padding_side, auto.truncation_side) == (
        512, "right", "right"
    )  # fmt: skip
    if name == "book":
        assert (auto.cls_token_id, auto.sep_token_id) == (20, 21)
    else:
        assert (auto.cls_token_id, auto.sep_token_id) == (special.bos, special.eos)
        assert auto.decode(auto("acgTN")["input_ids"], skip_special_tokens=True)[:4] == "ACGT"


@pytest.mark.parametrize("name", NAMES)
def test_transformers_pads_and_cuts_on_the_right(saved, name):
    tokenizer, _, auto = saved[name]
    batch = auto(["ACGT" * 400, "AC"], padding=True, truncation=True)
    assert set(batch) == {"input_ids", "attention_mask"}
    rows = [len(ids) for ids in batch["input_ids"]]
    assert rows[0] == rows[1] <= 512
    short = tokenizer.add_special(tokenizer.encode("AC")).tolist()
    pads = rows[1] - len(short)
    assert batch["input_ids"][1] == short + [tokenizer.special.pad] * pads
    assert batch["attention_mask"][1] == [1] * len(short) + [0] * pads
    # Our own encoding never cuts.
    assert tokenizer.decode(tokenizer.encode("ACGT" * 400)) == "ACGT" * 400


def test_settings_are_written_out(saved):
    """Defaults differ between versions: transformers 4 adds token type ids unless told not to."""
    for name in NAMES:
        content = json.loads((saved[name][1] / "tokenizer_config.json").read_text())
        assert content["tokenizer_class"] == "PreTrainedTokenizerFast"
        assert content["model_input_names"] == ["input_ids", "attention_mask"]
        assert content["model_max_length"] == 512


def test_a_pair_is_joined_as_roberta_joins_it(saved):
    tokenizer, _, auto = saved["bpe"]
    a, c = tokenizer.encode("A").tolist(), tokenizer.encode("C").tolist()
    assert auto("A", "C")["input_ids"] == [0, *a, 2, 2, *c, 2]


@pytest.mark.parametrize("config", [RobertaConfig, BertConfig, ModernBertConfig])
@pytest.mark.parametrize("name", ["published", "book"])
def test_a_model_beside_it_does_not_change_the_tokenizer(request, tmp_path, config, name):
    tokenizer = request.getfixturevalue(name)
    config().save_pretrained(tmp_path)
    tokenizer.save(tmp_path)
    auto = AutoTokenizer.from_pretrained(tmp_path)
    text = "ACGTacgtNNRYGATTACA"
    assert auto(text)["input_ids"] == tokenizer.add_special(tokenizer.encode(text)).tolist()
    assert auto.pad_token_id == tokenizer.special.pad
    assert (tmp_path / "config.json").exists()


def test_what_transformers_saves_again_loads_here(saved, tmp_path):
    tokenizer, _, auto = saved["bpe"]
    auto.save_pretrained(tmp_path)
    again = load_tokenizer(tmp_path)
    text = "ACGTacgtNN<mask>RYGATTACA"
    assert again.encode(text).tolist() == tokenizer.encode(text).tolist()
    assert (again.special, again.max_tokens) == (tokenizer.special, 512)


def test_a_process_without_helixlm_gives_the_same_ids(saved):
    text = ["ACGTacgtNNRYGATTACA", "TATAAA<mask>-", ""]
    script = (
        "import json, sys\n"
        "from transformers import AutoTokenizer\n"
        "folders, text = json.load(sys.stdin)\n"
        "ids = [AutoTokenizer.from_pretrained(f)(text)['input_ids'] for f in folders]\n"
        "assert not any(name.startswith('helixlm') for name in sys.modules)\n"
        "print(json.dumps(ids))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps([[str(saved[name][1]) for name in NAMES], text]),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    expected = [
        [saved[name][0].add_special(ids).tolist() for ids in saved[name][0].encode_batch(text)]
        for name in NAMES
    ]
    assert json.loads(done.stdout) == expected


def test_limits_may_be_changed_or_absent(bpe, tmp_path, lines):
    bpe.save(tmp_path, max_tokens=64)
    assert load_tokenizer(tmp_path).max_tokens == 64
    assert AutoTokenizer.from_pretrained(tmp_path).model_max_length == 64
    (tmp_path / "tokenizer_config.json").unlink()
    bare = load_tokenizer(tmp_path)
    assert (bare.max_tokens, bare.special, bare.sha256) == (None, bpe.special, bpe.sha256)
    bare.save(tmp_path / "again")
    assert load_tokenizer(tmp_path / "again").max_tokens is None
    auto = AutoTokenizer.from_pretrained(tmp_path / "again")
    assert auto.model_max_length > 10**18
    assert auto(lines[0])["input_ids"] == bpe.add_special(bpe.encode(lines[0])).tolist()
    assert auto.pad_token_id == bpe.special.pad


# Files of others


def dnabert2_like(**changes):
    """A small tokenizer.json of the shape of DNABERT-2's."""
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    merges = [("A", "A"), ("T", "T"), ("T", "G"), ("C", "A")]
    tokens = [*special, *"ACGT", *(left + right for left, right in merges)]
    vocab = {token: i for i, token in enumerate(tokens)}
    library = Tokenizer(models.BPE(vocab, merges, **{"unk_token": "[UNK]", **changes}))
    library.pre_tokenizer = pre_tokenizers.Whitespace()
    library.add_special_tokens(special)
    library.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    return library


def test_a_bare_file_like_that_of_dnabert2(tmp_path):
    library = dnabert2_like()
    library.enable_truncation(4)
    library.enable_padding(pad_id=3, pad_token="[PAD]", length=10)
    library.save(str(tmp_path / "tokenizer.json"))
    ours = load_tokenizer(tmp_path)
    assert isinstance(ours, BpeTokenizer)
    assert ours.special == (1, 2, 0, 3, 4)
    assert ours.keeps_case
    # Lower case and N are unknown there, a letter each; what the file says of cutting and
    # padding is for those who make batches.
    assert ours.encode("AATGNacCAAA").tolist() == [9, 11, 0, 0, 0, 6, 9, 5]
    assert ours.decode(ours.encode("AATGNacCAAA")) == "AATGNNNCAAA"
    ids, starts, ends = ours.encode_with_offsets("AA TG")
    assert (ids.tolist(), starts.tolist(), ends.tolist()) == ([9, 11], [0, 3], [2, 5])
    ours.save(tmp_path / "copy")
    assert (tmp_path / "copy" / "tokenizer.json").read_bytes() == (
        tmp_path / "tokenizer.json"
    ).read_bytes()
    auto = AutoTokenizer.from_pretrained(tmp_path / "copy")
    assert auto("AATGNac")["input_ids"] == [1, 9, 11, 0, 0, 0, 2]
    assert (auto.cls_token_id, auto.sep_token_id, auto.mask_token_id) == (1, 2, 4)


def test_the_books_own_file(tmp_path, book):
    """As the chapter writes it: no token is marked as special in tokenizer.json."""
    vocab = {token: i for i, token in enumerate(book.tokens)}
    library = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    library.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    library.save(str(tmp_path / "tokenizer.json"))
    ours = load_tokenizer(tmp_path / "tokenizer.json")
    assert isinstance(ours, CharTokenizer)
    assert (ours.special, ours.tokens) == (book.special, book.tokens)
    assert ours.special_ids.tolist() == book.special_ids.tolist()
    assert ours.encode("ACGTNacgti-").tolist() == book.encode("ACGTNacgti-").tolist()


def test_a_tokenizer_that_skips_spaces(tmp_path):
    library = Tokenizer(
        models.WordLevel({"[UNK]": 0, **dict(zip("ACGT", range(1, 5), strict=True))})
    )
    library.model.unk_token = "[UNK]"
    library.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Split("", "isolated")]
    )
    library.save(str(tmp_path / "tokenizer.json"))
    ours = load_tokenizer(tmp_path)
    assert ours.encode("AC GT").tolist() == [1, 2, 3, 4]
    assert ours.encode_with_offsets("AC GT").starts.tolist() == [0, 1, 3, 4]
    assert ours.special == (None, None, 0, None, None)


def test_tokens_that_are_found_after_normalising(tmp_path):
    library = dnabert2_like()
    library.normalizer = normalizers.Sequence([normalizers.Replace("x", "<gap>")])
    library.add_tokens(["<gap>"])
    library.save(str(tmp_path / "tokenizer.json"))
    ours = load_tokenizer(tmp_path)
    assert ours.encode("AxA").tolist() == library.encode("AxA", add_special_tokens=False).ids


@pytest.mark.parametrize("name", ["bpe", "char"])
def test_tokens_that_are_found_after_upper_casing(request, tmp_path, name):
    tokenizer = request.getfixturevalue(name)
    library = Tokenizer.from_str(tokenizer._text)
    library.add_tokens([AddedToken("<AC>", normalized=True)])
    library.save(str(tmp_path / "tokenizer.json"))
    ours = load_tokenizer(tmp_path)
    expected = library.encode("ta<ac>g", add_special_tokens=False).ids
    assert tokenizer.vocab_size in expected
    assert ours.encode("ta<ac>g").tolist() == expected


def test_a_class_that_may_read_otherwise_is_named(bpe, tmp_path, caplog):
    bpe.save(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    content = json.loads(path.read_text())
    content |= {"tokenizer_class": "RobertaTokenizer", "add_bos_token": True}
    content["pad_token"] = {"__type": "AddedToken", "content": "<pad>"}
    path.write_text(json.dumps(content))
    with caplog.at_level(logging.WARNING):
        loaded = load_tokenizer(tmp_path)
    assert "names the class RobertaTokenizer" in caplog.text
    assert loaded.special == bpe.special
    loaded.save(tmp_path / "copy")
    copy = json.loads((tmp_path / "copy" / "tokenizer_config.json").read_text())
    assert copy["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert "add_bos_token" not in copy


# Folders that are wrong


def test_no_folder(tmp_path):
    with pytest.raises(TokenizerError, match=r"nowhere: no such folder, expected one with a tok"):
        load_tokenizer(tmp_path / "nowhere")


def test_no_file(tmp_path):
    with pytest.raises(TokenizerError, match=r"no tokenizer\.json in this folder: give a folder"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize("k", [3, 4, 5, 6])
def test_vocab_txt_of_dnabert(tmp_path, k, end):
    """Ids of the class that DNABERT's own code uses, on the same file."""
    words = ("".join(word) for word in itertools.product("ATCG", repeat=k))
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (tmp_path / "vocab.txt").write_text("\n".join(tokens) + end)
    ours = load_tokenizer(tmp_path)
    bert = BertTokenizer(str(tmp_path / "vocab.txt"), do_lower_case=False)
    text = "GATTACAGNACGTTGCA"
    spaced = " ".join(text[at : at + k] for at in range(len(text) - k + 1))
    assert ours.add_special(ours.encode(text)).tolist() == bert(spaced)["input_ids"]
    assert (ours.tokens, ours.overlap_bp, ours.max_tokens) == (tokens, k - 1, 512)


@pytest.mark.parametrize(("version", "limit"), [(1, 1000), (2, 2048)])
def test_vocab_txt_of_nucleotide_transformer(tmp_path, version, limit):
    words = ["".join(word) for word in itertools.product("ATCG", repeat=6)]
    known, last = [*words, *"ATCGN"], ["<eos>", "<bos>"]
    special = ["<unk>", "<pad>", "<mask>", "<cls>"]
    tokens = [*special, *known, *last] if version == 1 else [*special, *last, *known]
    (tmp_path / "vocab.txt").write_text("\n".join(tokens))
    ours = load_tokenizer(tmp_path)
    esm = EsmTokenizer(str(tmp_path / "vocab.txt"), eos_token=None)
    text = "ACGTGTACNTGCACGGANCGACTAGTCTGA"
    assert ours.add_special(ours.encode(text)).tolist() == esm(text)["input_ids"]
    assert (ours.tokens, ours.overlap_bp, ours.max_tokens) == (tokens, 0, limit)


def test_vocab_txt_of_another_model(tmp_path):
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\nthe\n")
    with pytest.raises(
        TokenizerError, match=r"vocab.txt: its 3 tokens are not those of DNABERT .* writes one"
    ):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("name", ["bpe", "published"])
def test_vocab_json_and_merges(request, tmp_path, name):
    """As the tokenizers library writes the model alone, and TinyDNABERT publishes it."""
    ours = request.getfixturevalue(name)
    Tokenizer.from_str(ours._text).model.save(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["merges.txt", "vocab.json"]
    again = load_tokenizer(tmp_path)
    assert (again.sha256, again.special) == (ours.sha256, ours.special)


@pytest.fixture
def word_ends(tmp_path):
    """TinyDNABERT's own steps: letters with marks for ends of words, then RoBERTa's class."""
    library = CharBPETokenizer()
    lines = ["".join(word) for word in itertools.product("ACGT", repeat=4)]
    special = list(SPECIAL_ORDERS["published"])
    library.train_from_iterator(lines, 48, 2, special_tokens=special, show_progress=False)
    library.save_model(str(tmp_path))
    vocab = json.loads((tmp_path / "vocab.json").read_text())
    assert sum(token.endswith("</w>") and len(token) > 5 for token in vocab) > 3
    return tmp_path, RobertaTokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize("file", ["vocab.json", "tokenizer.json"])
def test_a_vocabulary_with_ends_of_words_that_are_never_reached(word_ends, tmp_path, file):
    folder, theirs = word_ends
    if file == "tokenizer.json":
        folder = tmp_path / "saved"
        theirs.save_pretrained(folder)
    ours = load_tokenizer(folder)
    assert ours.vocab_size == len(theirs)
    for line in ("ACGTTGCATTACG", "TTGACATATAAT", "A", "GATTACA" * 5):
        assert ours.add_special(ours.encode(line)).tolist() == theirs(line)["input_ids"]
        assert ours.decode(ours.encode(line)) == line
    unreached = [i for i, token in enumerate(ours.tokens) if token.endswith("</w>")]
    assert set(unreached) < set(ours.special_ids.tolist())
    assert not ours.token_bp[unreached].any()
    ours.save(tmp_path / "again")
    plain = AutoTokenizer.from_pretrained(tmp_path / "again")
    assert plain("GATTACA")["input_ids"] == theirs("GATTACA")["input_ids"]
    assert load_tokenizer(tmp_path / "again").sha256 == ours.sha256


@pytest.mark.parametrize("damage", ["AC\n", "A C G\n", "X Y\n", "A G</w> T\n"])
def test_ends_of_words_with_other_merges(word_ends, damage):
    path = word_ends[0] / "merges.txt"
    path.write_text(damage + path.read_text())
    with pytest.raises(TokenizerError, match=r"vocab.json: these .* tokens are not the special"):
        load_tokenizer(word_ends[0])


def test_vocab_json_and_merges_of_bytes(tmp_path):
    library = ByteLevelBPETokenizer()
    library.train_from_iterator(["ACGTTGCA"], vocab_size=260, show_progress=False)
    library.save_model(str(tmp_path))
    with pytest.raises(TokenizerError, match=r"vocab.json: these .* byte-level .* writes one"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("damage", ["AC\n", "A C G\n", "X Y\n", "T A\n"])
def test_vocab_json_with_other_merges(bpe, tmp_path, damage):
    Tokenizer.from_str(bpe._text).model.save(str(tmp_path))
    path = tmp_path / "merges.txt"
    path.write_text(damage + path.read_text())
    with pytest.raises(TokenizerError, match=r"vocab.json: these 80 tokens are not the special"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON .*: the file is damaged"),
        (b'{"model": {"type": "BPE", "vo', "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[1, 2]", "holds a JSON list, expected an object"),
    ],
)
def test_damaged_files(bpe, tmp_path, file, content, message):
    bpe.save(tmp_path)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(TokenizerError, match=f"{file}: {message}"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({}, "None"),
        ({"model": "BPE"}, "None"),
        ({"model": {"type": "Unigram"}}, "'Unigram'"),
        ({"model": {"type": "WordPiece", "vocab": {}}}, "'WordPiece'"),
        ({"model": {"type": ["BPE"]}}, "'BPE'"),
    ],
)
def test_another_kind(tmp_path, content, found):
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(
        TokenizerError, match=f"this tokenizer is .*{found}.*, expected 'BPE' or 'WordLevel'"
    ):
        load_tokenizer(tmp_path)


def test_a_file_that_the_library_refuses(tmp_path):
    (tmp_path / "tokenizer.json").write_text('{"version": "9.9", "model": {"type": "BPE"}}')
    with pytest.raises(TokenizerError, match=r"the tokenizers library cannot read .*json: "):
        load_tokenizer(tmp_path)


def load_changed(tmp_path, library, change=None):
    content = json.loads(library.to_str())
    if change is not None:
        change(content)
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    return load_tokenizer(tmp_path)


def test_ids_with_a_hole(tmp_path):
    def change(content):
        content["model"]["vocab"]["CA"] = 99

    with pytest.raises(TokenizerError, match=r"token 'CA' has id 99, expected 12: .* 0 to 12"):
        load_changed(tmp_path, dnabert2_like(), change)


@pytest.mark.parametrize("unk", [None, "<nil>"])
def test_no_token_for_unknown_letters(tmp_path, unk):
    def change(content):
        content["model"]["unk_token"] = unk

    with pytest.raises(TokenizerError, match=f"the model names {unk!r} as its unknown token"):
        load_changed(tmp_path, dnabert2_like(), change)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("unk", [None, "<unk>"])
def test_bytes_are_not_letters(tmp_path, unk, nested):
    """As RoBERTa's file, whose model names no unknown token."""
    library = ByteLevelBPETokenizer()
    library.train_from_iterator(["ACGTTGCA"], vocab_size=260, show_progress=False)

    def change(content):
        content["model"]["unk_token"] = unk
        if nested:
            content["pre_tokenizer"] = {
                "type": "Sequence", "pretokenizers": [content["pre_tokenizer"]]
            }  # fmt: skip

    with pytest.raises(TokenizerError, match=r"is byte-level, .* its pieces are bytes, expected"):
        load_changed(tmp_path, library, change)


@pytest.mark.parametrize(
    "changes",
    [{"fuse_unk": True}, {"continuing_subword_prefix": "##"}, {"end_of_word_suffix": "</w>"}],
)
def test_tokens_that_do_not_spell_the_sequence(tmp_path, changes):
    with pytest.raises(TokenizerError, match=r"ACGTNNACGT becomes \['A', .* expected tokens that"):
        load_changed(tmp_path, spelling_like(**changes))


def spelling_like(*, continuing_subword_prefix="", end_of_word_suffix="", fuse_unk=False):
    """One token for each form that a letter can take."""
    inner = [continuing_subword_prefix + base for base in "ACGT"]
    final = [continuing_subword_prefix + base + end_of_word_suffix for base in "ACGT"]
    tokens = dict.fromkeys(["<unk>", *"ACGT", *inner, *final])
    vocab = {token: i for i, token in enumerate(tokens)}
    return Tokenizer(
        models.BPE(
            vocab,
            [],
            unk_token="<unk>",
            fuse_unk=fuse_unk,
            continuing_subword_prefix=continuing_subword_prefix,
            end_of_word_suffix=end_of_word_suffix,
        )
    )


def test_spelling_like_is_fine_without_the_marks(tmp_path):
    assert load_changed(tmp_path, spelling_like()).encode("ACNN").tolist() == [1, 2, 0, 0]


def test_words_are_not_letters(tmp_path):
    vocab = {"[UNK]": 0, "A": 1, "ACGTAC": 2}
    library = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    library.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    with pytest.raises(TokenizerError, match="holds 'ACGTAC', expected single letters, because"):
        load_changed(tmp_path, library)


def test_more_special_tokens_than_one_on_each_side(tmp_path):
    library = dnabert2_like()
    library.post_processor = processors.TemplateProcessing(
        single="[CLS] [CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    with pytest.raises(TokenizerError, match=r"turn \[5\] into \[1, 1, 5, 2\], expected at most"):
        load_changed(tmp_path, library)


def test_settings_of_another_tokenizer(bpe, tmp_path):
    bpe.save(tmp_path)
    content = {"mask_token": "[MASK]", "model_max_length": "long"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(content))
    with pytest.raises(TokenizerError, match=r"gives '\[MASK\]' as mask_token, which is not in"):
        load_tokenizer(tmp_path)


# Saving


def test_a_full_disk_leaves_what_was_there(bpe, char, tmp_path, monkeypatch):
    bpe.save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(self, *args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(StateError, match=r"cannot be written: No space left on device; no"):
            char.save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def failing_at(patch, operation, number):
    """Let the call of this number fail, and no other."""
    calls, real = iter(range(1, 100)), getattr(Path, operation)

    def sometimes(self, *args, **kwargs):
        if next(calls) == number:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, *args, **kwargs)

    patch.setattr(Path, operation, sometimes)


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize(
    ("operation", "numbers"), [("write_bytes", (1, 2)), ("replace", (1, 2, 3, 4))]
)
def test_the_two_files_are_replaced_together(
    bpe, book, tmp_path, monkeypatch, operation, numbers, there
):
    for number in numbers:
        folder = tmp_path / str(number)
        folder.mkdir()
        if there:
            bpe.save(folder)
        elif number > 2:  # nothing is moved out of the way
            continue
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        with monkeypatch.context() as patch:
            failing_at(patch, operation, number)
            with pytest.raises(StateError, match=r"tokenizer.json: cannot be written: No space"):
                book.save(folder)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
        book.save(folder)
        assert load_tokenizer(folder).tokens == book.tokens
        assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_a_folder_in_the_place_of_a_file(bpe, book, tmp_path, name):
    bpe.save(tmp_path)
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    (other,) = [path for path in tmp_path.iterdir() if path.is_file()]
    before = other.read_bytes()
    with pytest.raises(StateError, match="Is a directory; nothing was replaced"):
        book.save(tmp_path)
    assert other.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_in_the_way(bpe, tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(StateError, match=r"taken/tokenizer.* cannot be written: File exists"):
        bpe.save(tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "mine"


def test_the_decoder_joins_without_spaces(bpe):
    library = Tokenizer.from_str(bpe._text)
    assert isinstance(library.decoder, decoders.Fuse)
    assert library.decode(bpe.encode("ACGTGATTACA").tolist()) == "ACGTGATTACA"
