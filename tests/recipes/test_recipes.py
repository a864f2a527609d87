"""Recipes: what is built in, how they are read, and how mistakes are told."""

import pytest
import yaml

from helixlm.data.windows import FixedWindows, TinyDnabertWindows
from helixlm.models.config import num_parameters
from helixlm.recipes.load import (
    RecipeError,
    compare_recipes,
    list_recipes,
    load_recipe,
    recipe_text,
    recipe_yaml,
)
from helixlm.tokenizers.build import build_tokenizer
from helixlm.train.masking import MaskingConfig


def parameters(recipe):
    encoder = recipe.model.complete(
        vocab_size=recipe.tokenizer.vocab_size, pad_token_id=1, mask_token_id=4
    )
    return num_parameters(encoder)


def test_tinydnabert_is_the_published_setting():
    """Every number as ForestsKing/TinyDNABERT's scripts have it."""
    recipe = load_recipe("tinydnabert")
    assert parameters(recipe) == 19_968_512
    assert (recipe.windows.min_bp, recipe.windows.max_bp) == (256, 1024)
    assert (recipe.windows.block_bp, recipe.windows.upper_bound) == (1_000_000, "exclusive")
    assert (recipe.tokenizer.vocab_size, recipe.tokenizer.min_frequency) == (1024, 4)
    assert (recipe.tokenizer.method, recipe.tokenizer.sample_every) == ("sample", 10)
    assert (recipe.batches.packing, recipe.batches.row_tokens) == ("concatenate", 512)
    assert recipe.batches.rows == 128
    assert recipe.masking == MaskingConfig(rate=0.15, mask_share=0.8, random_share=0.1)
    train = recipe.train
    assert (train.steps, train.lr, train.warmup_steps) == (200_000, 1e-4, 20_000)
    assert (train.schedule, train.weight_decay, train.eps) == ("linear", 1e-5, 1e-8)
    assert (train.betas, train.clip_norm) == ((0.9, 0.999), 1.0)
    assert (train.validate_every, train.checkpoint_every, train.keep_checkpoints) == (1000, 1000, 2)
    tune = recipe.finetune
    assert (tune.max_steps, tune.batch_size, tune.lr) == (5000, 64, 1e-4)
    assert (tune.warmup_steps, tune.weight_decay, tune.eval_every) == (500, 1e-5, 200)


def test_the_published_ids_are_a_switch():
    recipe = load_recipe(
        "tinydnabert", ["tokenizer.special_order=published", "model.pad_token_id=1"]
    )
    encoder = recipe.model.complete(vocab_size=1024, pad_token_id=3, mask_token_id=4)
    assert encoder.pad_token_id == 1
    assert num_parameters(encoder) == 19_968_512


@pytest.mark.parametrize(
    ("name", "windows", "tokenizer", "row_tokens", "rows"),
    [
        ("dnabert", {"kind": "dnabert", "mode": "cut", "k": 6, "n": "split"}, 4101, 512, 2000),
        ("dnabert2", {"kind": "fixed", "length_bp": 1000, "n": "split"}, 4096, 128, 4096),
        ("dnagrinder", {"kind": "repeatfree", "length_bp": 12_200}, 4096, 2314, 256),
        ("book", {"kind": "coding"}, 23, 512, 16),
        (
            "nt",
            {"kind": "pieces", "chunk_bp": 12_000, "overlap_bp": 100, "iupac": "n"},
            4107,
            2048,
            512,
        ),
        (
            "hyenadna",
            {"kind": "features", "of": "bed", "upstream_bp": 0, "downstream_bp": 1024},
            12,
            1026,
            256,
        ),
    ],
)
def test_corpora_of_published_models_are_recipes(name, windows, tokenizer, row_tokens, rows):
    """Windows, sizes of vocabularies and batches as published; models are in test_sizes.py."""
    recipe = load_recipe(name)
    assert windows.items() <= recipe.windows.model_dump().items()
    assert (recipe.batches.row_tokens, recipe.batches.rows) == (row_tokens, rows)
    text = [] if not recipe.tokenizer.needs_text else ["ACGT" * 5000]
    size = build_tokenizer(recipe.tokenizer, text).vocab_size
    assert size == tokenizer or (recipe.tokenizer.vocab_size == tokenizer and size < tokenizer)
    drawn = {"drawn_bp": 12_000, "jitter_bp": 200}.items()
    assert (name in ("nt", "dnagrinder")) == (recipe.batches.packing == "drawn")
    assert recipe.batches.packing != "drawn" or drawn <= recipe.batches.model_dump().items()


def test_a_recipe_without_a_model_gets_one_from_its_overrides():
    recipe = load_recipe("nt", ["model=null"])
    assert recipe.model is None
    assert load_recipe(recipe, ["model.max_positions=2050"]).model.max_positions == 2050
    with pytest.raises(RecipeError, match="the tokenizer's k-mers overlap by 5 bases"):
        load_recipe("dnabert", ["masking.kind=independent", "masking.rate_changes=[]"])


def test_the_mini_recipe_has_one_to_three_million_parameters():
    assert 1_000_000 < parameters(load_recipe("tinydnabert-mini")) < 3_000_000


@pytest.mark.parametrize("name", list_recipes())
def test_built_in_recipes_are_sound_and_resolve_to_themselves(name, tmp_path):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.description == list_recipes()[name]
    assert yaml.safe_load(recipe_text(name))["description"] == recipe.description
    path = tmp_path / "resolved.yaml"
    path.write_text(recipe_yaml(recipe))
    assert load_recipe(path) == recipe


def test_a_file_derives_from_a_base_and_overrides_win(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("base: tinydnabert\nmodel: {num_layers: 2}\ntrain: {lr: 1e-3}\n")
    recipe = load_recipe(path, ["model.num_layers=3", "split.validation_contigs=[chrI, chrII]"])
    assert recipe.name == "mine"
    assert recipe.model.num_layers == 3
    assert recipe.model.hidden_size == 512
    assert recipe.train.lr == 1e-3
    assert recipe.split.validation_contigs == ("chrI", "chrII")
    second = tmp_path / "second.yaml"
    second.write_text("base: mine.yaml\nseed: 9\n")
    assert load_recipe(second).train.lr == 1e-3
    assert compare_recipes(load_recipe(path), load_recipe(second), ignored=["name"]) == [
        "seed: 0 -> 9"
    ]
    assert load_recipe(load_recipe(path), ["seed=4"]).seed == 4


def test_a_preset_takes_the_place_of_what_the_base_says(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("base: tinydnabert\ntokenizer: {preset: nt-v2, max_tokens: 900}\n")
    found = load_recipe(path).tokenizer
    assert (found.kind, found.method, found.max_tokens) == ("kmer", "exact", 900)
    assert load_recipe("tinydnabert", ["tokenizer.preset=nt-v1"]).tokenizer.max_tokens == 1000
    both = ["tokenizer.max_tokens=900", "tokenizer.preset=nt-v2"]
    assert load_recipe("tinydnabert", both).tokenizer == found
    assert load_recipe(path, ["tokenizer.preset=book"]).tokenizer.kind == "char"
    again = load_recipe(load_recipe(path), ["seed=4"])
    assert again.tokenizer == found
    (tmp_path / "again.yaml").write_text(recipe_yaml(again))
    assert load_recipe(tmp_path / "again.yaml").tokenizer == found
    # What is said beside the preset is held to it.
    with pytest.raises(RecipeError, match="tokenizer: preset 'nt-v2' has kind 'kmer', found 'bpe'"):
        load_recipe("tinydnabert", ["tokenizer.preset=nt-v2", "tokenizer.kind=bpe"])


def test_another_kind_of_windows_takes_the_place_of_what_the_base_says(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("base: tinydnabert\nwindows: {kind: fixed, length_bp: 500}\n")
    found = load_recipe(path).windows
    assert found == FixedWindows(length_bp=500)
    assert load_recipe(path, ["windows.step_bp=50"]).windows.step_bp == 50
    back = load_recipe(path, ["windows.min_bp=300", "windows.kind=tinydnabert"]).windows
    assert back == TinyDnabertWindows(min_bp=300)
    again = load_recipe(load_recipe(path), ["seed=4"])
    assert again.windows == found
    # The same kind, named again, keeps what is there; so does a section that names none.
    path.write_text("base: tinydnabert\nwindows: {min_bp: 300, block_bp: null}\n")
    kept = load_recipe(path, ["windows.kind=tinydnabert", "windows.max_bp=900"]).windows
    assert kept == TinyDnabertWindows(min_bp=300, max_bp=900, block_bp=None)
    path.write_text("windows: {min_bp: 300}\n")
    assert load_recipe(path).windows == TinyDnabertWindows(min_bp=300)


def test_all_problems_are_told_at_once_with_their_place(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(
        "base: tinydnabert\nmodel: {hiden_size: 3}\ntrain: {lr: -1}\nmasking: {rate: many}\n"
    )
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    text = str(caught.value)
    assert "3 problem(s)" in text
    assert "model.hiden_size: unknown key; did you mean 'hidden_size'?" in text
    assert "train.lr: Input should be greater than 0 (found -1)" in text
    assert "masking.rate: Input should be a valid number" in text


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.num_heads=7"], "model: hidden_size 512 is no multiple of num_heads 7: every"),
        (["batches.row_tokens=600"], "batches.row_tokens 600 is over the 512 tokens that"),
        (["train.micro_rows=100"], "batches.rows 128 is no multiple of train.micro_rows 100"),
        (["train.warmup_steps=200000"], "warmup_steps 200000 is not below steps 200000"),
        (
            ["batches.bpe_dropout=0.1", "tokenizer.kind=char"],
            "batches.bpe_dropout 0.1 leaves out merges of byte pairs, and tokenizer.kind 'char'",
        ),
        (["batches.bpe_dropout=1.0"], "batches.bpe_dropout: Input should be less than 1"),
        (
            ["batches.bpe_dropout=0.1", "tokenizer.preset=gena-lm"],
            "batches.bpe_dropout 0.1 encodes the bases of each token anew, and GENA-LM's gap",
        ),
        (
            ["tokenizer.preset=dnabert-3"],
            "the tokenizer's k-mers overlap by 2 bases, so the neighbours of a hidden token spell",
        ),
        (["tokenizer.kind=kmer"], "the tokenizer's k-mers overlap by 5 bases, so the"),
        (
            ["tokenizer.vocab_size=65536"],
            "tokenizer: a vocabulary of 65,536 is too large, expected at most 65,535: tokens are",
        ),
        (["nonsense"], "expected section.key=value, such as model.hidden_size=256"),
        (["seed.deep=1"], "'seed' is a value, not a section"),
        (["model.hidden_size=[1"], "the value is not YAML"),
        (
            ["batches.packing=drawn", "tokenizer.preset=nt-v2", "batches.row_tokens=500"],
            "batches.row_tokens 500 holds at most 3,000 bp in tokens of up to 6 bp, and drawn "
            "windows have 12,000",
        ),
        (["windows.mim_bp=3"], "windows.mim_bp: unknown key; did you mean 'min_bp'?"),
        (["windows.max_bp=3"], "windows: max_bp 3: expected at least 257 with min_bp 256"),
        (["windows.kind=fixd"], "windows: Input tag 'fixd' found using 'kind' does not match any"),
        (["windows.kind=fixed"], "windows.length_bp: Field required"),
        (
            ["weights.contigs.chrM=-1"],
            "weights.contigs.chrM: Input should be greater than or equal",
        ),
        (["weights.species_exponant=0"], "did you mean 'species_exponent'"),
        (["duplicates.remov=exact"], "duplicates.remov: unknown key; did you mean 'remove'?"),
        (["steps=3"], "steps: unknown key; did you mean 'train.steps'?"),
        (["lr=3"], "lr: unknown key; did you mean 'train.lr' or 'finetune.lr'?"),
        (["train.hidden_size=3"], "unknown key; did you mean 'model.hidden_size'?"),
        (["windows.kind=pieces", "windows.min_bp=3"], "windows.min_bp: unknown key"),
        (
            ["train.steps=100"],
            "warmup_steps 20000 is not below steps 100: the learning rate would never reach lr: "
            "lower it too, such as with --set train.warmup_steps=10",
        ),
        (["finetune.max_steps=50"], "lower it too, such as with --set finetune.warmup_steps=5"),
        (["modl.hidden_size=3"], "modl: unknown key; did you mean 'model'"),
    ],
)
def test_overrides_that_do_not_fit_are_refused(overrides, message):
    with pytest.raises(RecipeError, match=message.replace("[", r"\[")):
        load_recipe("tinydnabert", overrides)


def test_the_largest_vocabulary_and_words_side_by_side_are_recipes():
    sizes = ["tokenizer.vocab_size=65535"]
    assert load_recipe("tinydnabert", sizes).tokenizer.vocab_size == 65_535
    words = ["tokenizer.kind=kmer", "tokenizer.overlap=false"]
    assert load_recipe("tinydnabert", words).tokenizer.overlap_bp == 0


def test_weights_of_contigs_keep_their_order(tmp_path):
    (tmp_path / "a.yaml").write_text(
        "base: tinydnabert\nweights: {contigs: {'*': 0.5, NC_1.1: 2}, species_exponent: 0.7}\n"
    )
    found = load_recipe(tmp_path / "a.yaml", ["weights.contigs.chrM=0"])
    assert list(found.weights.contigs.items()) == [("*", 0.5), ("NC_1.1", 2), ("chrM", 0)]
    assert found.weights.species_exponent == 0.7
    (tmp_path / "b.yaml").write_text(recipe_yaml(found))
    assert list(load_recipe(tmp_path / "b.yaml").weights.contigs) == ["*", "NC_1.1", "chrM"]


def test_unknown_recipes_are_told(tmp_path):
    with pytest.raises(RecipeError, match=r"neither a file nor a built-in recipe.*did you mean"):
        load_recipe("tinydnabret")
    with pytest.raises(RecipeError, match="no such file"):
        load_recipe(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(RecipeError, match="found list, expected sections such as 'model:'"):
        load_recipe(tmp_path / "list.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1\n")
    with pytest.raises(RecipeError, match="not YAML"):
        load_recipe(tmp_path / "broken.yaml")
    (tmp_path / "circle.yaml").write_text("base: circle.yaml\n")
    with pytest.raises(RecipeError, match="its bases go in a circle"):
        load_recipe(tmp_path / "circle.yaml")
