"""Rows that are planned before training: documents side by side, or joined and cut.

Comes in: one split of a token store, which holds documents without special tokens. Goes out: a
`RowPlan`, which says which tokens lie in which row, the same in every epoch.

Shape letters: L tokens in a row.
"""

import numpy as np
from numpy.typing import NDArray

from helixlm.errors import InputError
from helixlm.jit import compiled
from helixlm.rng import CounterRng
from helixlm.tokenizers.bpe_dropout import RowDropout, num_draws, redraw_row
from helixlm.train.batches import BatchConfig, Documents, Row, Sample, Softmask, Vocabulary

OPEN_ROWS = 64
"""Rows that packing keeps open: more fill better and take longer. 64 leave about 1 % empty."""

GROUP_DOCUMENTS = 1000
"""Documents that are concatenated before cutting: the map batch of `datasets` in TinyDNABERT."""


@compiled
def _best_fit(lengths: NDArray[np.int64], row_tokens: int, num_open: int) -> NDArray[np.int64]:
    """Give each piece, in the order given, the row in which it leaves the least room."""
    row_of = np.empty(len(lengths), dtype=np.int64)
    room = np.zeros(num_open, dtype=np.int64)
    row = np.full(num_open, -1, dtype=np.int64)
    num_rows = 0
    for piece in range(len(lengths)):
        best = -1
        fullest = 0
        for k in range(num_open):
            if room[k] >= lengths[piece] and (best < 0 or room[k] < room[best]):
                best = k
            if room[k] < room[fullest]:
                fullest = k
        if best < 0:  # Nothing fits: close the fullest row and open a new one in its place.
            best = fullest
            row[best] = num_rows
            room[best] = row_tokens
            num_rows += 1
        row_of[piece] = row[best]
        room[best] -= lengths[piece]
    return row_of


class RowPlan:
    """Which tokens of a store lie in which row; the same for every epoch.

    Parameters
    ----------
    documents : Documents
        A split of a token store.
    config : BatchConfig
        Packing and row length.
    vocabulary : Vocabulary
        Special tokens.
    seed : int
        Seed of the order in which documents are packed.
    softmask : Softmask, optional
        Which tokens are soft-masked, if their loss has another weight.
    species : ndarray, int, optional
        Number of the species of each document, if rows come in the order of species.

    Raises
    ------
    InputError
        If there are too few tokens for a single row.
    """

    def __init__(
        self,
        documents: Documents,
        config: BatchConfig,
        vocabulary: Vocabulary,
        seed: int,
        *,
        softmask: Softmask | None = None,
        species: NDArray[np.integer] | None = None,
    ) -> None:
        assert config.packing != "drawn", "DrawnRows draws windows"
        self.documents = documents
        self.config = config
        self.vocabulary = vocabulary
        self.softmask = softmask
        self.species: NDArray[np.integer] | None = None
        if config.packing == "concatenate":
            self._plan_cutting()
        else:
            self._plan_packing(seed, species)
        if self.num_rows == 0:
            raise InputError(
                f"{int(documents.lengths.sum()):,} tokens in {len(documents.lengths):,} documents "
                f"do not fill one row of {config.row_tokens} tokens: expected more sequence or a "
                f"smaller batches.row_tokens"
            )

    def _plan_packing(self, seed: int, species: NDArray[np.integer] | None) -> None:
        """Cut documents that are longer than a row, then pack the pieces, if they share rows."""
        room = self.config.row_tokens - self.vocabulary.num_added
        lengths = np.asarray(self.documents.lengths, dtype=np.int64)
        starts = np.asarray(self.documents.ends, dtype=np.int64) - lengths
        pieces = -(-lengths // room)
        first = np.repeat(np.cumsum(pieces) - pieces, pieces)
        nth = np.arange(len(first)) - first
        start = np.repeat(starts, pieces) + nth * room
        stop = np.minimum(start + room, np.repeat(starts + lengths, pieces))
        if self.config.packing == "single":
            self._start, self._stop = start, stop
            self.num_rows = len(start)
            self._row_ends = np.arange(1, len(start) + 1)
            self.species = None if species is None else np.repeat(species, pieces)
            return
        order = CounterRng("packing", seed).permutation(len(start))
        start, stop = start[order], stop[order]
        added = stop - start + self.vocabulary.num_added
        row = _best_fit(added, self.config.row_tokens, OPEN_ROWS)
        by_row = np.argsort(row, kind="stable")
        self._start, self._stop = start[by_row], stop[by_row]
        self.num_rows = int(row.max()) + 1 if len(row) else 0
        self._row_ends = np.cumsum(np.bincount(row, minlength=self.num_rows))

    def _plan_cutting(self) -> None:
        """Count the full rows of each group of documents."""
        added = np.asarray(self.documents.lengths, dtype=np.int64) + self.vocabulary.num_added
        # Position of each document's end in the joined stream, special tokens counted.
        self._joined_ends = np.cumsum(added)
        last = np.minimum(
            np.arange(GROUP_DOCUMENTS, len(added) + GROUP_DOCUMENTS, GROUP_DOCUMENTS), len(added)
        )
        group_ends = self._joined_ends[last - 1] if len(added) else np.zeros(0, dtype=np.int64)
        self._group_starts = np.concatenate([[0], group_ends[:-1]]).astype(np.int64)
        rows = (group_ends - self._group_starts) // self.config.row_tokens
        self._group_row_ends = np.cumsum(rows)
        self.num_rows = int(rows.sum())

    def row(
        self, index: int, sample: Sample | None = None, dropout: RowDropout | None = None
    ) -> Row:
        """Return one row with its special tokens.

        Parameters
        ----------
        index : int
            Number of the row, 0 <= index < num_rows.
        sample : Sample, optional
            Where in the stream it comes up; without dropout it is the same everywhere.
        dropout : RowDropout, optional
            Encode the row anew; its length and its special tokens stay, see `redraw_row`.
        """
        joined = self.config.packing == "concatenate"
        row = self._cut_row(index) if joined else self._packed_row(index)
        if dropout is None:
            return row
        assert sample is not None, "dropout is drawn for a sample"
        table, p = dropout
        document_L = (
            np.zeros(len(row.ids_L), np.int32) if row.document_L is None else row.document_L
        )
        uniform = CounterRng("bpe dropout", *sample).uniform(num_draws(table, row.ids_L))
        return row._replace(ids_L=redraw_row(table, row.ids_L, document_L, p, uniform))

    def tokens_of_rows(self) -> NDArray[np.int64]:
        """Return the tokens of each row without special ones, int64; packing single alone."""
        assert self.config.packing == "single", "other rows are full"
        return np.asarray(self._stop - self._start)

    def counted(self) -> Documents:
        """Return the documents that the rows are made of."""
        return self.documents

    def _soft(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Return which tokens of a document are soft-masked, between unmasked special tokens."""
        soft = np.zeros(0, np.bool_) if self.softmask is None else self.softmask.tokens(start, stop)
        bos, eos = self.vocabulary.bos is not None, self.vocabulary.eos is not None
        return np.pad(soft, (int(bos), int(eos)))

    def _packed_row(self, index: int) -> Row:
        ids_L = np.full(self.config.row_tokens, self.vocabulary.pad, dtype=np.int64)
        document_L = np.zeros(self.config.row_tokens, dtype=np.int32)
        soft_L = None if self.softmask is None else np.zeros(self.config.row_tokens, np.bool_)
        first = int(self._row_ends[index - 1]) if index else 0
        at = 0
        for number, piece in enumerate(range(first, int(self._row_ends[index])), start=1):
            start, stop = int(self._start[piece]), int(self._stop[piece])
            wrapped = self.vocabulary.wrap(self.documents.tokens(start, stop))
            ids_L[at : at + len(wrapped)] = wrapped
            document_L[at : at + len(wrapped)] = number
            if soft_L is not None:
                soft_L[at : at + len(wrapped)] = self._soft(start, stop)
            at += len(wrapped)
        return Row(ids_L, document_L, soft_L)

    def _cut_row(self, index: int) -> Row:
        group = int(np.searchsorted(self._group_row_ends, index, side="right"))
        nth = index - (int(self._group_row_ends[group - 1]) if group else 0)
        start = int(self._group_starts[group]) + nth * self.config.row_tokens
        stop = start + self.config.row_tokens
        document = int(np.searchsorted(self._joined_ends, start, side="right"))
        begin = int(self._joined_ends[document - 1]) if document else 0
        parts, soft = [], []
        at = begin
        while at < stop:
            end = int(self.documents.ends[document])
            first = end - int(self.documents.lengths[document])
            parts.append(self.vocabulary.wrap(self.documents.tokens(first, end)))
            if self.softmask is not None:
                soft.append(self._soft(first, end))
            at += len(parts[-1])
            document += 1
        here = slice(start - begin, stop - begin)
        return Row(np.concatenate(parts)[here], None, np.concatenate(soft)[here] if soft else None)
