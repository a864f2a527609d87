"""From a configuration and sequences to a tokenizer: trained where the kind needs it."""

from collections.abc import Callable, Iterable

from helixlm.tokenizers.base import Tokenizer, TokenizerConfig
from helixlm.tokenizers.bpe_train import every_nth, train_bpe
from helixlm.tokenizers.char import book_tokenizer, char_tokenizer


def build_tokenizer(
    config: TokenizerConfig,
    sequences: Iterable[str] = (),
    *,
    progress: Callable[[int, int | None], None] | None = None,
) -> Tokenizer:
    """Train or construct the tokenizer that a configuration describes.

    Parameters
    ----------
    config : TokenizerConfig
        What to make.
    sequences : iterable of str
        Training text. All of it: every `config.sample_every`-th sequence is taken here. Not
        read where there is nothing to train.
    progress : callable, optional
        Called as ``progress(sequences used, None)`` now and then.

    Returns
    -------
    Tokenizer
        Ready to use.

    Raises
    ------
    TokenizerError
        If there is nothing to train on.
    """
    if config.kind == "bpe":
        return train_bpe(
            every_nth(sequences, config.sample_every),
            vocab_size=config.vocab_size,
            min_frequency=config.min_frequency,
            special_order=config.special_order,
            max_token_bp=config.max_token_bp,
            max_tokens=config.max_tokens,
            progress=progress,
        )
    if config.preset == "book":
        return book_tokenizer(max_tokens=config.max_tokens)
    return char_tokenizer(special_order=config.special_order, max_tokens=config.max_tokens)
