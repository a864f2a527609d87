"""A tokenizer around one tokenizer.json of the `tokenizers` library.

In: the text of a tokenizer.json and, where there is one, of the tokenizer_config.json beside it.
Out: what the protocol in base.py promises. The file's bytes are kept and written back as they
came, so the hash of a tokenizer does not depend on the version of the library. `CharTokenizer`,
`BpeTokenizer` and those of k-mers add what is faster for their kind; which of them a file needs is
found in hf.py.
"""

import hashlib
import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tokenizers
from numpy.typing import ArrayLike, NDArray

from helixlm.files import replace_files
from helixlm.tokenizers.assemble import GENERAL_SETTINGS, settings_for
from helixlm.tokenizers.base import Encoding, Kind, SpecialTokens, TokenizerError, in_batches

log = logging.getLogger(__name__)

# The library keeps strings, masks and offsets beside each id, about 150 bytes a token: batches
# of this many letters keep that below some tens of MB, and cost no speed.
BATCH_LETTERS = 1 << 18

# A shorter text is not worth a warning when half of it is unknown.
WARN_LETTERS = 20

# Names by which a bare tokenizer.json, without tokenizer_config.json, tells what a token is for.
PAD_NAMES = ("<pad>", "[PAD]")
MASK_NAMES = ("<mask>", "[MASK]")

# Roles in tokenizer_config.json. Each names a token that is not a base.
ROLES = (
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
)

# Settings that make transformers put other special tokens around a sequence, or other code to work.
REBUILDING = ("add_bos_token", "add_eos_token", "auto_map")
READS_AS_IS = ("PreTrainedTokenizerFast", "PreTrainedTokenizer", "TokenizersBackend")

PROBE = "ACGTNNACGT"
# What a special token looks like in a vocabulary that does not mark its special tokens.
SPECIAL_NAME = re.compile(r"<[^<>]+>|\[[A-Z]+\]")


class LibraryTokenizer:
    """The protocol `Tokenizer` on top of ``tokenizers.Tokenizer``.

    Parameters
    ----------
    text : str
        Content of tokenizer.json.
    settings : mapping
        Content of tokenizer_config.json; empty if there is none.
    source : str
        Where the text came from, for messages.

    Raises
    ------
    TokenizerError
        If the tokenizer cannot keep the promises of the protocol, such as one token a letter
        for unknown letters.
    """

    kind: ClassVar[Kind]
    overlap_bp: int = 0
    """bases that a token shares with the one before it"""
    gap: ClassVar[str | None] = None
    """a token that stands for a run of unknown letters, if the vocabulary has it"""
    transformers_class: ClassVar[str] = GENERAL_SETTINGS["tokenizer_class"]
    """the class that transformers is to load a saved folder with"""

    def __init__(
        self, text: str, settings: Mapping[str, Any] | None = None, *, source: str = "tokenizer"
    ) -> None:
        self._text = text
        self._settings = dict(settings or {})
        self._source = source
        self._library = parse_library(text, source)
        names = {role: token_name(self._settings.get(role)) for role in ROLES}
        vocab = self._library.get_vocab(with_added_tokens=True)
        for role, name in names.items():
            if name is not None and name not in vocab:
                raise TokenizerError(
                    f"{source}: tokenizer_config.json gives {name!r} as {role}, which is not in "
                    "the vocabulary of tokenizer.json: the two files do not belong together"
                )
        # As transformers does when it loads the two files.
        self._library.add_special_tokens([name for name in names.values() if name is not None])
        self._tokens = tokens_by_id(vocab, source)
        self._warned: set[bool] = set()  # of unknown letters: because of case, for all else
        check_class(self._settings, self.transformers_class, source)
        added = self._library.get_added_tokens_decoder()
        unk = unknown_token(text, vocab, source)
        special = {id_ for id_, token in added.items() if token.special} | {vocab[unk]}
        special |= {id_ for token, id_ in vocab.items() if SPECIAL_NAME.fullmatch(token)}
        self._special_ids = np.array(sorted(special), dtype=np.int32)
        self._token_bp = np.array([len(token) for token in self._tokens], dtype=np.int32)
        self._token_bp[self._special_ids] = 0
        self._token_bp[vocab[unk]] = 1
        self._pieces = list(self._tokens)
        for id_ in special:
            self._pieces[id_] = ""
        self._pieces[vocab[unk]] = "N"
        if self.gap is not None and self.gap in vocab:
            self._pieces[vocab[self.gap]] = self.gap
            self._special_ids = np.union1d(self._special_ids, vocab[self.gap]).astype(np.int32)
            self._token_bp[vocab[self.gap]] = 1
        self._check_spelling()
        self._literal = literal_pattern(added.values())
        bos, eos = surrounding_ids(self._library, source)
        self._special = SpecialTokens(
            bos=bos,
            eos=eos,
            unk=vocab[unk],
            pad=first_id(vocab, (names["pad_token"], *PAD_NAMES)),
            mask=first_id(vocab, (names["mask_token"], *MASK_NAMES)),
        )

    def _check_spelling(self) -> None:
        """See that the tokens of a sequence spell it, with one token for each unknown letter.

        That is not so with marks for word ends or inner pieces, with unknown letters that are
        fused, dropped or spelled in bytes, or with a space before the first word.
        """
        ids = self._library.encode(PROBE, add_special_tokens=False).ids
        spelled = "".join(self._pieces[id_] for id_ in ids).upper()
        if len(spelled) != len(PROBE) or any(
            found not in (letter, "N") for found, letter in zip(spelled, PROBE, strict=True)
        ):
            raise TokenizerError(
                f"{self._source}: {PROBE} becomes {[self._tokens[id_] for id_ in ids]}, expected "
                "tokens that spell it, with one unknown token for each unknown letter: helixlm "
                "needs to know which bases a token covers"
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(vocab_size={self.vocab_size}, sha256={self.sha256[:12]}...)"

    @property
    def vocab_size(self) -> int:
        """Number of ids, special tokens counted."""
        return len(self._tokens)

    @property
    def special(self) -> SpecialTokens:
        """Ids of the special tokens that others need by their role."""
        return self._special

    @property
    def special_ids(self) -> NDArray[np.int32]:
        """All ids that stand for no known base, in order (unk among them), int32, shape (s,)."""
        return self._special_ids.copy()

    @property
    def tokens(self) -> list[str]:
        """The text of each token, by id."""
        return list(self._tokens)

    @property
    def token_bp(self) -> NDArray[np.int32]:
        """Bases that each token covers, int32, shape (V,): unk 1, other special tokens 0."""
        return self._token_bp.copy()

    @property
    def max_tokens(self) -> int | None:
        """Longest input of the model in tokens, special tokens counted. Encoding never cuts."""
        value = self._settings.get("model_max_length")
        # transformers writes int(1e30) where there is no limit.
        return int(value) if isinstance(value, int | float) and value < 10**18 else None

    @property
    def keeps_case(self) -> bool:
        """Whether lower-case bases are unknown letters; if so, give upper case."""
        lower, upper = self._encode_slice(["acgt" * 4, "ACGT" * 4])  # longer than any k-mer
        return not np.array_equal(lower, upper)

    @property
    def sha256(self) -> str:
        """Hash of the bytes of tokenizer.json, 64 hexadecimal digits."""
        return hashlib.sha256(self._text.encode()).hexdigest()

    def encode(self, sequence: str) -> NDArray[np.int32]:
        """Return the token ids of one sequence without special tokens.

        Parameters
        ----------
        sequence : str
            Letters in any case.

        Returns
        -------
        ndarray, int32, shape (n,)
            Token ids.
        """
        return self.encode_batch([sequence])[0]

    def encode_batch(self, sequences: Sequence[str]) -> list[NDArray[np.int32]]:
        """Return `encode` of each sequence, on all cores, in bounded memory beside the result.

        The bound holds for sequences of up to about a million letters: a longer one is one call
        of the library, which takes about 70 bytes a letter.

        Parameters
        ----------
        sequences : sequence of str, length b
            Letters in any case.

        Returns
        -------
        list of b ndarrays, int32, shape (n_i,)
            Token ids.
        """
        encoded: list[NDArray[np.int32]] = []
        unknown = 0
        for some in self._encode_slices(in_batches(sequences, letters=BATCH_LETTERS)):
            encoded += some
            if len(self._warned) < 2:
                unknown += int(np.count_nonzero(np.concatenate(some) == self._special.unk))
        if unknown:
            self._warn_of_unknown(sequences, unknown, sum(map(len, encoded)))
        return encoded

    def _warn_of_unknown(self, sequences: Sequence[str], unknown: int, tokens: int) -> None:
        """Say that at least half of a text is unknown: once for its case, once for all else."""
        if 2 * unknown < tokens or sum(map(len, sequences)) < WARN_LETTERS:
            return
        is_case = self.keeps_case and any(c in sequence for sequence in sequences for c in "acgt")
        if is_case in self._warned:
            return
        self._warned.add(is_case)
        log.warning(
            "%s: %d of %d tokens are unknown: %s",
            self._source,
            unknown,
            tokens,
            self._unknown_letters(sequences)
            + (
                "; this tokenizer keeps case and knows upper-case bases only: give upper case "
                "(helixlm.tokenizers.base.in_its_case)"
                if is_case
                else ""
            ),
        )

    def _unknown_letters(self, sequences: Sequence[str]) -> str:
        """Name the letters that make a text unknown, by its first million letters."""
        counts = Counter(islice(chain.from_iterable(sequences), BATCH_LETTERS))
        shares = [
            f"{letter!r} ({count / counts.total():.1%} of the letters)"
            for letter, count in counts.most_common()
            # Alone, or repeated to a word where words overlap.
            if set(self._encode_slice([letter * (self.overlap_bp + 1)])[0].tolist())
            == {self._special.unk}
        ]
        if not shares:
            return f"its letters are known, but not its words, such as {sequences[0][:20]!r}"
        more = f" and {len(shares) - 3} more" if len(shares) > 3 else ""
        effect = "each word with one is" if self.overlap_bp else "each is"
        return f"the vocabulary lacks {', '.join(shares[:3])}{more}, so {effect} one unknown token"

    def _encode_slices(self, slices: Iterator[list[str]]) -> Iterable[list[NDArray[np.int32]]]:
        """Encode batches one by one: the library itself goes through each on all cores."""
        return map(self._encode_slice, slices)

    def _encode_slice(self, batch: list[str]) -> list[NDArray[np.int32]]:
        """Encode a batch that is small enough for one call of the library."""
        encodings = self._library.encode_batch_fast(batch, add_special_tokens=False)
        return [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]

    def encode_with_offsets(self, sequence: str) -> Encoding:
        """Return the token ids of one sequence and which bases each token covers.

        Parameters
        ----------
        sequence : str
            Letters in any case.

        Returns
        -------
        Encoding
            ids, int32, shape (n,); starts and ends, int64, shape (n,): positions in `sequence`,
            0-based, half-open. Each token starts where the one before it ends.
        """
        ids = self.encode(sequence)
        ends = np.cumsum(self._token_bp[ids], dtype=np.int64)
        # A literal special token has more letters than its 0 or 1 bases, so the sum tells.
        if (int(ends[-1]) if len(ends) else 0) == len(sequence):
            return Encoding(ids, ends - self._token_bp[ids], ends)
        encoding = self._library.encode(sequence, add_special_tokens=False)
        offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
        return Encoding(np.array(encoding.ids, dtype=np.int32), offsets[:, 0], offsets[:, 1])

    def decode(self, ids: ArrayLike) -> str:
        """Return the bases of the tokens: special tokens are dropped, unk becomes N.

        Parameters
        ----------
        ids : array-like, int, shape (n,)
            Token ids.

        Returns
        -------
        str
            The bases.

        Raises
        ------
        TokenizerError
            If an id is not in the vocabulary.
        """
        ids_n = np.asarray(ids)
        outside = np.flatnonzero((ids_n < 0) | (ids_n >= self.vocab_size))
        if len(outside):
            raise TokenizerError(
                f"token id {ids_n[outside[0]]} at position {outside[0]} is not in the vocabulary: "
                f"expected 0 to {self.vocab_size - 1}"
            )
        return "".join(map(self._pieces.__getitem__, ids_n.tolist()))

    def add_special(self, ids: ArrayLike) -> NDArray[np.int32]:
        """Return the ids with bos before and eos after them, as far as the tokenizer has these.

        Parameters
        ----------
        ids : array-like, int, shape (n,)
            Token ids without special tokens.

        Returns
        -------
        ndarray, int32, shape (n,) to (n + 2,)
            What transformers gives for the same sequence with ``add_special_tokens=True``.
        """
        before = [] if self._special.bos is None else [self._special.bos]
        after = [] if self._special.eos is None else [self._special.eos]
        return np.concatenate([before, np.asarray(ids), after]).astype(np.int32)

    def save(self, folder: str | Path, *, max_tokens: int | None = None) -> None:
        """Write tokenizer.json and tokenizer_config.json into a folder.

        Both files are replaced, or none is: what was there before stays if one cannot be written.

        Parameters
        ----------
        folder : str or Path
            Where to write; made if missing. Other files in it are left alone.
        max_tokens : int, optional
            Longest input in tokens, in place of the tokenizer's own.

        Raises
        ------
        StateError
            If a file cannot be written; what was there before is still there.
        """
        named = default_settings(self)
        settings = self._settings or named
        # Some files name no roles; fill-mask and collators of transformers ask for them.
        settings = settings | {
            role: named[role]
            for role in ("unk_token", "pad_token", "mask_token", "cls_token", "sep_token")
            if role in named and settings.get(role) is None
        }
        # Any other class, or a wish for other special tokens, would make transformers rebuild the
        # pipeline and give other ids than tokenizer.json does.
        settings = {key: settings[key] for key in settings if key not in REBUILDING}
        settings["tokenizer_class"] = self.transformers_class
        if max_tokens is not None:
            settings["model_max_length"] = max_tokens
        names = ("tokenizer_config.json", "tokenizer.json")
        texts = (json.dumps(settings, indent=2) + "\n", self._text)
        with replace_files(*(Path(folder) / name for name in names)) as temporaries:
            for temporary, text in zip(temporaries, texts, strict=True):
                temporary.write_bytes(text.encode())


def parse_library(text: str, source: str) -> tokenizers.Tokenizer:
    """Parse a tokenizer.json, without the truncation and padding that it may ask for."""
    try:
        library = tokenizers.Tokenizer.from_str(text)
    except Exception as error:  # the library raises nothing narrower
        raise TokenizerError(
            f"{source}: the tokenizers library cannot read this tokenizer.json: {error}"
        ) from error
    library.no_truncation()
    library.no_padding()
    return library


def token_name(value: Any) -> str | None:
    """Text of a token in tokenizer_config.json, which may be a string or an object."""
    name = value.get("content") if isinstance(value, Mapping) else value
    return None if name is None else str(name)


def literal_pattern(added: Iterable[tokenizers.AddedToken]) -> re.Pattern[str]:
    """Match the literal text of an added token, such as ``<mask>``; of several, the longest."""
    contents = sorted((token.content for token in added if token.content), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, contents)) or "(?!)")


def tokens_by_id(vocab: Mapping[str, int], source: str) -> list[str]:
    """List the tokens by id, or say which id is missing."""
    tokens = sorted(vocab, key=vocab.__getitem__)
    for expected, token in enumerate(tokens):
        if vocab[token] != expected:
            raise TokenizerError(
                f"{source}: token {token!r} has id {vocab[token]}, expected {expected}: the ids of "
                f"{len(tokens)} tokens must be 0 to {len(tokens) - 1}, each once"
            )
    return tokens


def unknown_token(text: str, vocab: Mapping[str, int], source: str) -> str:
    """Name of the token for unknown letters."""
    content = json.loads(text)
    unk = content["model"].get("unk_token")
    if (unk is None or unk not in vocab) and '"ByteLevel"' in json.dumps(
        content.get("pre_tokenizer")
    ):
        raise TokenizerError(
            f"{source}: this tokenizer is byte-level, as RoBERTa's and GPT-2's are: its pieces are "
            "bytes, expected letters with one unknown token for each letter that is not in the "
            "vocabulary"
        )
    if unk is None or unk not in vocab:
        raise TokenizerError(
            f"{source}: the model names {unk!r} as its unknown token, expected a token of the "
            "vocabulary: letters such as N would vanish, and positions with them"
        )
    return str(unk)


def surrounding_ids(library: tokenizers.Tokenizer, source: str) -> tuple[int | None, int | None]:
    """Ids that the post-processor puts before and after a sequence."""
    bare = library.encode("A", add_special_tokens=False).ids
    full = library.encode("A", add_special_tokens=True).ids
    for before in (0, 1):
        after = len(full) - before - len(bare)
        if after in (0, 1) and full[before : before + len(bare)] == bare:
            return (full[0] if before else None), (full[-1] if after else None)
    raise TokenizerError(
        f"{source}: special tokens turn {bare} into {full}, expected at most one token before and "
        "one after a sequence"
    )


def first_id(vocab: Mapping[str, int], names: Sequence[str | None]) -> int | None:
    """Id of the first of the names that the vocabulary holds."""
    return next((vocab[name] for name in names if name is not None and name in vocab), None)


def default_settings(tokenizer: LibraryTokenizer) -> dict[str, Any]:
    """Make a tokenizer_config.json for a tokenizer that came without one."""
    special, tokens = tokenizer.special, tokenizer.tokens
    ids = {
        "bos_token": special.bos,
        "eos_token": special.eos,
        "cls_token": special.bos,
        "sep_token": special.eos,
        "unk_token": special.unk,
        "pad_token": special.pad,
        "mask_token": special.mask,
    }
    named = {role: tokens[id_] for role, id_ in ids.items() if id_ is not None}
    return settings_for(named, None)


def check_class(settings: Mapping[str, Any], ours: str, source: str) -> None:
    """Warn where transformers reads this folder by other rules than tokenizer.json's."""
    name = settings.get("tokenizer_class")
    if name not in (None, ours, *READS_AS_IS):
        log.warning(
            "%s: tokenizer_config.json names the class %s, with which transformers may give other "
            "ids than tokenizer.json does; helixlm follows tokenizer.json",
            source,
            name,
        )
