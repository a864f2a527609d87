"""The tokenizer folder: tokenizer.json, and tokenizer_config.json for transformers.

In: a folder written by helixlm, or any with a tokenizer.json of one of the kinds that helixlm knows
(BPE, word-level of single letters or of k-mers), such as DNABERT-2's. Out: a tokenizer. Names on
the hub are not resolved here: download first, then load the folder.
"""

import json
from pathlib import Path
from typing import Any

from helixlm.tokenizers.base import TokenizerError
from helixlm.tokenizers.bpe import BpeTokenizer
from helixlm.tokenizers.char import CharTokenizer
from helixlm.tokenizers.kmer import KmerTokenizer
from helixlm.tokenizers.kmer_overlapping import OverlappingKmerTokenizer

AnyTokenizer = BpeTokenizer | CharTokenizer | KmerTokenizer | OverlappingKmerTokenizer


def load_tokenizer(folder: str | Path) -> AnyTokenizer:
    """Read a tokenizer from its folder.

    Parameters
    ----------
    folder : str or Path
        A folder that holds tokenizer.json, or that file itself.

    Returns
    -------
    BpeTokenizer, CharTokenizer, KmerTokenizer or OverlappingKmerTokenizer
        As tokenizer.json says. Its ids are those that
        ``transformers.AutoTokenizer.from_pretrained(folder)`` gives (overlapping k-mers: after
        ``import helixlm.tokenizers.auto``).

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
            raise TokenizerError(
                f"{path.parent}: no tokenizer.json in this folder: give a folder that 'helixlm "
                "tokenizer train' or save_pretrained of transformers wrote"
            )
    text, content = _read_json(path)
    found = _class_for(content, path)
    settings_path = path.with_name("tokenizer_config.json")
    settings = _read_json(settings_path)[1] if settings_path.exists() else {}
    return found(text, settings, source=str(path))


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
