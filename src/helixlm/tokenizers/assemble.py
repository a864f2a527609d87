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

# As transformers' BertTokenizer names them; it has neither bos nor eos.
BERT_ROLES = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "sep", "pad", "cls", "mask")}
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


def surround(
    library: Tokenizer, special: tuple[str, ...], max_tokens: int | None, *, joined: bool = True
) -> Assembled:
    """Put special tokens, template and decoder around a model as RoBERTa or as BERT has them.

    Parameters
    ----------
    library : tokenizers.Tokenizer
        With model, normaliser and pre-tokenizer; changed in place.
    special : tuple of str
        The special tokens, in the order of their ids: RoBERTa's (``<s>`` among them) or BERT's.
    max_tokens : int, optional
        Longest input of the model in tokens.
    joined : bool
        Whether the tokens spell the sequence one after the other, without spaces between them.

    Returns
    -------
    tuple of str and dict
        Content of tokenizer.json and of tokenizer_config.json.
    """
    library.add_special_tokens(list(special))
    roles = ROBERTA_ROLES if "<s>" in special else BERT_ROLES
    first, last = roles["cls_token"], roles["sep_token"]
    library.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        # RoBERTa has one token more between the two, and type ids of 0.
        pair=(
            f"{first} $A {last} {last} $B:0 {last}:0"
            if roles is ROBERTA_ROLES
            else f"{first} $A {last} $B:1 {last}:1"
        ),
        special_tokens=[(token, special.index(token)) for token in (first, last)],
    )
    # Without a decoder, transformers would put a space between the tokens.
    if joined:
        library.decoder = decoders.Fuse()
    return library.to_str(pretty=True), settings_for(roles, max_tokens)


def settings_for(roles: dict[str, str], max_tokens: int | None) -> dict[str, Any]:
    """Make the content of tokenizer_config.json from the tokens by their role."""
    limit = {} if max_tokens is None else {"model_max_length": max_tokens}
    return {**GENERAL_SETTINGS, **limit, **roles}
