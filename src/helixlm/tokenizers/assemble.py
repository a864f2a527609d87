"""The parts of a tokenizer.json that helixlm writes, and the settings beside it.

In: a model of the `tokenizers` library with its vocabulary. Out: the text of tokenizer.json and the
content of tokenizer_config.json, such that ``transformers.AutoTokenizer`` needs nothing of ours.
"""

from typing import Any

from tokenizers import Tokenizer, decoders, normalizers, processors

Assembled = tuple[str, dict[str, Any]]

# PreTrainedTokenizerFast is the class that takes a tokenizer.json as it is, by the name that both
# transformers 4 and 5 know (5 calls it TokenizersBackend); any other class name may make
# transformers rebuild the pipeline. Token type ids are left out because RoBERTa has no use for
# them and ModernBERT refuses them.
GENERAL_SETTINGS: dict[str, Any] = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "model_input_names": ["input_ids", "attention_mask"],
    "padding_side": "right",
    "truncation_side": "right",
    "clean_up_tokenization_spaces": False,
}

ROBERTA_ROLES = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "cls_token": "<s>",
    "sep_token": "</s>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "mask_token": "<mask>",
}


def upper_case_normalizer(letters: str) -> normalizers.Sequence:
    """Read each of the letters in lower case as upper case.

    The library has no upper-case normaliser, and one that changed every letter would be wrong here:
    what is not in the vocabulary stays as it is and becomes unknown. A replacement of one
    letter by one keeps offsets exact.
    """
    return normalizers.Sequence([normalizers.Replace(c.lower(), c) for c in letters])


def surround(library: Tokenizer, special: tuple[str, ...], max_tokens: int | None) -> Assembled:
    """Put special tokens, template and decoder around a model as RoBERTa has them.

    Parameters
    ----------
    library : tokenizers.Tokenizer
        With model, normaliser and pre-tokenizer; changed in place.
    special : tuple of str
        The special tokens, in the order of their ids.
    max_tokens : int, optional
        Longest input of the model in tokens.

    Returns
    -------
    tuple of str and dict
        Content of tokenizer.json and of tokenizer_config.json.
    """
    library.add_special_tokens(list(special))
    library.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        # Type ids stay 0 in a pair, as RoBERTa has it.
        pair="<s> $A </s> </s> $B:0 </s>:0",
        special_tokens=[(token, special.index(token)) for token in ("<s>", "</s>")],
    )
    # Without a decoder, transformers would put a space between the tokens.
    library.decoder = decoders.Fuse()
    return library.to_str(pretty=True), settings_for(ROBERTA_ROLES, max_tokens)


def settings_for(roles: dict[str, str], max_tokens: int | None) -> dict[str, Any]:
    """Make the content of tokenizer_config.json from the tokens by their role."""
    limit = {} if max_tokens is None else {"model_max_length": max_tokens}
    return {**GENERAL_SETTINGS, **limit, **roles}
