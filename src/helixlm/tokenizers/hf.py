"""The tokenizer folder: tokenizer.json, and tokenizer_config.json for transformers.

In: a folder written by helixlm, or any with a tokenizer.json of one of the kinds that helixlm knows
(BPE, word-level of single letters or of k-mers), such as DNABERT-2's. Where there is none, older
files that list a vocabulary of a preset: vocab.txt of DNABERT and of Nucleotide Transformer,
vocab.json and merges.txt of TinyDNABERT. Out: a tokenizer. Names on the hub are not resolved here:
download first, then load the folder.
"""

import json
from pathlib import Path
from typing import Any

from helixlm.tokenizers.base import SPECIAL_ORDERS, TokenizerError
from helixlm.tokenizers.bpe import BpeTokenizer, bpe_tokenizer
from helixlm.tokenizers.char import CharTokenizer
from helixlm.tokenizers.kmer import BASES, KmerTokenizer, nt_tokenizer, nt_vocabulary
from helixlm.tokenizers.kmer_overlapping import (
    OverlappingKmerTokenizer,
    dnabert_tokenizer,
    dnabert_vocabulary,
)
from helixlm.tokenizers.presets import PRESETS

AnyTokenizer = BpeTokenizer | CharTokenizer | KmerTokenizer | OverlappingKmerTokenizer


def load_tokenizer(folder: str | Path) -> AnyTokenizer:
    """Read a tokenizer from its folder.

    Parameters
    ----------
    folder : str or Path
        A folder that holds tokenizer.json, or that file itself. Without one, vocab.txt or
        vocab.json and merges.txt are read if they list the vocabulary of a preset, whose rules
        and longest input then hold.

    Returns
    -------
    BpeTokenizer, CharTokenizer, KmerTokenizer or OverlappingKmerTokenizer
        As tokenizer.json says. Its ids are those that
        ``transformers.AutoTokenizer.from_pretrained(folder)`` gives (overlapping k-mers: after
        ``import helixlm``).

    Raises
    ------
    TokenizerError
        If the folder or the file is missing, is not JSON, or holds a tokenizer of another kind.
    """
    path = Path(folder)
    if not path.exists():
        raise TokenizerError(f"{path}: no such folder, expected one with a tokenizer.json")
    if path.is_dir():
        path = path / "tokenizer.json"
        if not path.exists():
            return _without_tokenizer_json(path.parent)
    text, content = _read_json(path)
    read_as_bytes = _from_bytes(content)
    if read_as_bytes is not None:
        return read_as_bytes
    found = _class_for(content, path)
    settings_path = path.with_name("tokenizer_config.json")
    settings = _read_json(settings_path)[1] if settings_path.exists() else {}
    return found(text, settings, source=str(path))


def _without_tokenizer_json(folder: Path) -> AnyTokenizer:
    """Read the files that tokenizers had before tokenizer.json."""
    if (folder / "vocab.txt").exists():
        return _from_words(folder / "vocab.txt")
    if (folder / "vocab.json").exists() and (folder / "merges.txt").exists():
        return _from_merges(folder / "vocab.json", folder / "merges.txt")
    raise TokenizerError(
        f"{folder}: no tokenizer.json in this folder: give a folder that 'helixlm tokenizer train' "
        "or save_pretrained of transformers wrote"
    )


def _from_words(path: Path) -> AnyTokenizer:
    """Find the tokenizer of a preset by its vocab.txt, one token a line."""
    tokens = path.read_text(encoding="utf-8", errors="replace").split()
    for k in (3, 4, 5, 6):
        if tokens == dnabert_vocabulary(k):
            return dnabert_tokenizer(k)
    # The last two are never made, and the model of version 1 has no rows for them.
    if tokens in (nt_vocabulary(1), nt_vocabulary(1)[:-2]):
        return nt_tokenizer(1, max_tokens=PRESETS["nt-v1"].max_tokens)
    if tokens == nt_vocabulary(2):
        return nt_tokenizer(2, max_tokens=PRESETS["nt-v2"].max_tokens)
    raise TokenizerError(
        f"{path}: its {len(tokens)} tokens are not those of DNABERT (k = 3 to 6) or of Nucleotide "
        f"Transformer (1 or 2), expected these in their order, or a tokenizer.json: {_CONVERT}"
    )


def _from_merges(vocab_path: Path, merges_path: Path) -> AnyTokenizer:
    """Read byte-pair encoding of letters whose ids are in an order that presets have."""
    vocab = _read_json(vocab_path)[1]
    lines = merges_path.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    merges = [(pair[0], pair[-1]) for pair in pairs if len(pair) == 2]
    made = [left + right for left, right in merges]
    for order, special in SPECIAL_ORDERS.items():
        tokens = dict.fromkeys([*special, *BASES, *made])
        is_whole = len(merges) == len(pairs) and all(vocab.keys() >= set(pair) for pair in merges)
        if is_whole and vocab == {token: id_ for id_, token in enumerate(tokens)}:
            return bpe_tokenizer(merges, special_order=order)
    if len(merges) == len(pairs):
        with_word_ends = _with_word_ends(vocab, merges)
        if with_word_ends is not None:
            return with_word_ends
    raise TokenizerError(
        f"{vocab_path}: these {len(vocab)} tokens are not the special tokens of a preset, A C G T "
        "and what merges.txt makes of them, expected these in this order (a byte-level vocabulary, "
        f"as RoBERTa's is, cannot be read), or a tokenizer.json: {_CONVERT}"
    )


def _from_bytes(content: dict[str, Any]) -> BpeTokenizer | None:
    """Read byte-pair encoding of bytes if all its bytes are bases, as TinyDNABERT is saved.

    Its script reads a vocabulary of letters with RoBERTa's class, which looks at bytes.
    """
    model = content.get("model")
    if not isinstance(model, dict) or model.get("type") != "BPE":
        return None
    if (content.get("pre_tokenizer") or {}).get("type") != "ByteLevel":
        return None
    pairs = [x.split(" ") if isinstance(x, str) else x for x in model.get("merges", ())]
    if any(len(pair) != 2 for pair in pairs):
        return None  # damaged, which the library will say
    return _with_word_ends(model.get("vocab", {}), [(left, right) for left, right in pairs])


def _with_word_ends(vocab: dict[str, int], merges: list[tuple[str, str]]) -> BpeTokenizer | None:
    """Make a tokenizer of bases that has rows for ends of words, which no sequence reaches.

    TinyDNABERT's script trains with a mark at the end of each line (``A</w>``) and encodes without:
    those rows of the vocabulary, and merges with them, are never used. They keep their ids.

    Returns
    -------
    BpeTokenizer or None
        None if other tokens than special ones, bases and words of them are there.
    """
    for order in ("roberta", "published"):
        special = SPECIAL_ORDERS[order]
        if all(vocab.get(token) == id_ for id_, token in enumerate(special)):
            break
    else:
        return None
    words = {token for token in vocab if token not in special}
    if not words.issuperset(BASES) or any(
        set(token.removesuffix(WORD_END)) - set(BASES) for token in words
    ):
        return None
    used = [pair for pair in merges if WORD_END not in "".join(pair)]
    if not words.issuperset("".join(pair) for pair in used):
        return None
    unused = words - {*BASES, *map("".join, used)}
    return bpe_tokenizer(used, special_order=order, vocab=vocab, unused=sorted(unused))


WORD_END = "</w>"

_CONVERT = (
    "with transformers, AutoTokenizer.from_pretrained(folder, use_fast=True)"
    ".save_pretrained(another) writes one"
)


def _class_for(content: dict[str, Any], path: Path) -> type[AnyTokenizer]:
    """Find the class for a tokenizer.json by its model and by what splits its text."""
    model = content.get("model")
    kind = model.get("type") if isinstance(model, dict) else None
    if kind == "BPE":
        return BpeTokenizer
    if kind != "WordLevel":
        raise TokenizerError(
            f"{path}: the model of this tokenizer is {kind!r}, expected 'BPE' or 'WordLevel' "
            "(single letters or k-mers): no other kind is read"
        )
    splitter = content.get("pre_tokenizer") or {}
    if splitter.get("type") in ("Whitespace", "WhitespaceSplit"):
        return OverlappingKmerTokenizer
    pattern = splitter.get("pattern")
    if isinstance(pattern, dict) and "Regex" in pattern:
        return KmerTokenizer
    return CharTokenizer


def _read_json(path: Path) -> tuple[str, dict[str, Any]]:
    """Text and content of a JSON file that holds an object."""
    try:
        text = path.read_bytes().decode("utf-8")
        content = json.loads(text)
    except ValueError as error:
        raise TokenizerError(f"{path}: not JSON ({error}): the file is damaged") from error
    if not isinstance(content, dict):
        raise TokenizerError(f"{path}: holds a JSON {type(content).__name__}, expected an object")
    return text, content
