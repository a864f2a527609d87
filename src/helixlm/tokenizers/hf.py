"""The tokenizer folder: tokenizer.json, and tokenizer_config.json for transformers.

In: a folder written by helixlm, or any with a tokenizer.json of one of the two kinds that helixlm
knows (BPE, word-level of single letters), such as DNABERT-2's. Out: a tokenizer. Names on the
hub are not resolved here: download first, then load the folder.
"""

import json
from pathlib import Path
from typing import Any

from helixlm.tokenizers.base import TokenizerError
from helixlm.tokenizers.bpe import BpeTokenizer
from helixlm.tokenizers.char import CharTokenizer

CLASSES: dict[str, type[BpeTokenizer] | type[CharTokenizer]] = {
    "BPE": BpeTokenizer,
    "WordLevel": CharTokenizer,
}


def load_tokenizer(folder: str | Path) -> BpeTokenizer | CharTokenizer:
    """Read a tokenizer from its folder.

    Parameters
    ----------
    folder : str or Path
        A folder that holds tokenizer.json, or that file itself.

    Returns
    -------
    BpeTokenizer or CharTokenizer
        As the model in tokenizer.json says. Its ids are those that
        ``transformers.AutoTokenizer.from_pretrained(folder)`` gives.

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
    model = content.get("model")
    kind = model.get("type") if isinstance(model, dict) else None
    if not isinstance(kind, str) or kind not in CLASSES:
        raise TokenizerError(
            f"{path}: the model of this tokenizer is {kind!r}, expected one of "
            f"{', '.join(map(repr, CLASSES))}"
        )
    settings_path = path.with_name("tokenizer_config.json")
    settings = _read_json(settings_path)[1] if settings_path.exists() else {}
    return CLASSES[kind](text, settings, source=str(path))


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
