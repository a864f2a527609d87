"""Predictions from file to file: FASTA or a table in, a table out.

Comes in: a model and a file of sequences. Goes out: a CSV (or TSV, by its name; gzipped if it is
called `.gz`), written as it grows and named when it is complete. Memory depends on the batch and on
the longest piece that is tokenized at once, not on the file.

Columns for a classifier: `name`, `predicted`, and `p_LABEL` for each label. For a masked language
model, one row a token: `name`, `token_index`, `start` and `end` (0-based, half-open, on the
sequence as it stands), `token`, `probability` (of the true token when it alone is hidden),
`best_token`, `best_probability`.
"""

import csv
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from helixlm.data.formats.delimited import check_sequence, delimiter_of, iter_rows, open_writer
from helixlm.data.formats.fasta import iter_chunks
from helixlm.data.formats.fasta_bytes import iter_blocks
from helixlm.errors import InputError, StateError
from helixlm.inference.device import resolve_device
from helixlm.inference.loading import LoadedModel, load
from helixlm.inference.masked import masked_many
from helixlm.inference.rows import (
    Progress,
    TooLongError,
    classify,
    encode_rows,
    evaluating,
)

logger = logging.getLogger(__name__)

PIECE_BP = 1_000_000
"""Longest piece of a FASTA record that a masked language model sees as one sequence, in bases.
Tokens and context end at its borders, as they do in the pretraining corpus."""
_GROUP_ROWS = 4096
_GROUP_LETTERS = 1_000_000
_TABLES = (".csv", ".tsv", ".tab")
_VARIANTS = (b"##fileformat=VCF", b"BCF\x02")


class Predicted(NamedTuple):
    """What `predict` did."""

    output: Path
    num_sequences: int
    num_rows: int
    """Rows of the table that was written."""
    num_cut: int
    """Sequences that were longer than the model takes, and were cut."""


class _Piece(NamedTuple):
    """A sequence, or a piece of one."""

    name: str
    place: str
    """File and line, or file and record."""
    start: int
    """First base of the piece in its sequence."""
    last: bool
    sequence: str


def predict(
    model: LoadedModel | str | Path,
    input: str | Path,  # noqa: A002 - the same word as on the command line
    output: str | Path,
    *,
    batch_size: int = 64,
    truncate: bool = False,
    device: str | torch.device | None = None,
    progress: Progress | None = None,
) -> Predicted:
    """Write what a model predicts for every sequence of a file.

    Parameters
    ----------
    model : LoadedModel, str or Path
        A loaded model, or what `load` takes.
    input : str or Path
        FASTA, or a table (`.csv`, `.tsv`, plain or gzipped) with a column `sequence`. Names are
        those of the records, or of a column `name` or `id`, or else the row's number from 0.
    output : str or Path
        The table to write, see above; it must not exist yet.
    batch_size : int
        Sequences (or masked rows) at a time.
    truncate : bool
        For a classifier: cut sequences that are longer than the model takes at their right end, and
        count them; otherwise they are an error. A masked language model takes any length.
    device : str or torch.device, optional
        Where to compute; by default where a loaded model is, or else on CUDA if there is one.
    progress : callable, optional
        Called with (sequences done, None) by a classifier, (tokens done, None) by a masked language
        model.

    Returns
    -------
    Predicted
        Where the table is, and counts.

    Raises
    ------
    InputError
        If the input cannot be read, holds no sequence, a sequence is too long, or there is no such
        device.
    StateError
        If there is no such model, or the table is there already or cannot be written.

    Notes
    -----
    A masked language model sees each sequence in pieces of `PIECE_BP` bases, each tokenized by
    itself; within a piece a token is seen in the largest window around it. A classifier that
    cuts reads no more letters than its longest tokens could cover.
    """
    source, output = Path(input), Path(output)
    if output.exists() and source.exists() and output.samefile(source):
        raise InputError(f"{output}: input and output are the same file: name another output")
    if output.exists():
        raise StateError(f"{output}: exists already: delete it or choose another name")
    if isinstance(model, LoadedModel):
        loaded = model
    else:
        device = resolve_device(device)
        loaded = load(model)
    counts = _Counts()
    rows: Iterator[Sequence[str | int]]
    with evaluating(loaded.model, device), open_writer(output) as text:
        pieces = _pieces(loaded, source, truncate)
        if loaded.kind == "classifier":
            rows = _class_rows(loaded, pieces, counts, batch_size, truncate, progress)
        else:
            rows = _token_rows(loaded, pieces, counts, batch_size, progress)
        csv.writer(text, delimiter=delimiter_of(output), lineterminator="\n").writerows(rows)
        if not counts.sequences:
            raise InputError(f"{source}: no sequence to predict: expected at least one row")
    if counts.cut:
        logger.warning(
            "%s: %d of %d sequences were cut to %d tokens",
            source,
            counts.cut,
            counts.sequences,
            loaded.max_tokens,
        )
    return Predicted(output, counts.sequences, counts.rows, counts.cut)


class _Counts:
    """What was done so far."""

    def __init__(self) -> None:
        self.sequences = self.rows = self.cut = 0


def _class_rows(
    loaded: LoadedModel,
    pieces: Iterator[_Piece],
    counts: _Counts,
    batch_size: int,
    truncate: bool,
    progress: Progress | None,
) -> Iterator[list[str]]:
    """Yield the header, then one row a sequence."""
    yield ["name", "predicted", *(f"p_{label}" for label in loaded.labels)]
    for group in _groups(pieces):
        sequences, places = [p.sequence for p in group], [p.place for p in group]
        rows, num_cut = encode_rows(loaded, sequences, places, truncate=truncate)
        found_NC = classify(loaded, rows, batch_size=batch_size)
        for piece, p_C in zip(group, found_NC, strict=True):
            shown = [format_probability(p) for p in p_C.tolist()]
            yield [piece.name, loaded.labels[int(p_C.argmax())], *shown]
        counts.sequences += len(group)
        counts.rows += len(group)
        counts.cut += num_cut
        if progress:
            progress(counts.sequences, None)


def _token_rows(
    loaded: LoadedModel,
    pieces: Iterator[_Piece],
    counts: _Counts,
    batch_size: int,
    progress: Progress | None,
) -> Iterator[list[str | int]]:
    """Yield the header, then one row a token."""
    columns = "name token_index start end token probability best_token best_probability"
    yield [*columns.split()]
    tokens = loaded.tokenizer.tokens
    index = 0
    for group in _groups(pieces):
        found_N = masked_many(
            loaded,
            [piece.sequence for piece in group],
            batch_size=batch_size,
            progress=_counted(progress, counts.rows),
        )
        for piece, found in zip(group, found_N, strict=True):
            index = 0 if piece.start == 0 else index
            columns_T = (column.tolist() for column in found)
            for token, start, end, p, best, p_best in zip(*columns_T, strict=True):
                yield [
                    piece.name,
                    index,
                    piece.start + start,
                    piece.start + end,
                    tokens[token],
                    format_probability(p),
                    tokens[best],
                    format_probability(p_best),
                ]
                index += 1
            counts.rows += len(found.token_ids)
            counts.sequences += piece.last


def _counted(progress: Progress | None, before: int) -> Progress | None:
    """Return what adds `before` to the count that `progress` is told, and leaves the total open."""
    if progress is None:
        return None
    return lambda done, _: progress(before + done, None)


def format_probability(value: float) -> str:
    """Return a float32 with the digits that bring back the same bits."""
    return f"{value:.9g}"


def _groups(pieces: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    """Gather pieces to be batched together."""
    group: list[_Piece] = []
    letters = 0
    for piece in pieces:
        group.append(piece)
        letters += len(piece.sequence)
        if len(group) == _GROUP_ROWS or letters >= _GROUP_LETTERS:
            yield group
            group, letters = [], 0
    if group:
        yield group


def _pieces(loaded: LoadedModel, path: Path, truncate: bool) -> Iterator[_Piece]:
    """Read what the model is to see: whole sequences, or pieces of them."""
    if path.name.lower().removesuffix(".gz").endswith(_TABLES):
        return _table_pieces(path)
    _refuse_variants(path)
    if loaded.kind == "masked":
        return (
            _Piece(c.contig, f"{path}: record {c.contig!r}", c.start, c.last, c.sequence)
            for c in iter_chunks(path, chunk_bp=PIECE_BP)
        )
    return _whole_records(loaded, path, truncate)


def _refuse_variants(path: Path) -> None:
    """Raise InputError if a file holds variants."""
    if not path.is_file():  # nothing can be read beforehand of a pipe
        return
    if next(iter_blocks(path)).startswith(_VARIANTS):
        raise InputError(
            f"{path}: found variants (VCF or BCF), expected sequences: variants are not scored "
            "yet: give FASTA, or a table with a column 'sequence'"
        )


def _table_pieces(path: Path) -> Iterator[_Piece]:
    rows = iter_rows(path, ["sequence"], optional=["name", "id"])
    for number, (line, fields) in enumerate(rows):
        place = f"{path}:{line}"
        check_sequence(fields["sequence"], place)
        name = fields.get("name") or fields.get("id") or str(number)
        yield _Piece(name, place, 0, True, fields["sequence"])


def _whole_records(loaded: LoadedModel, path: Path, truncate: bool) -> Iterator[_Piece]:
    """Join the pieces of each record, up to the length beyond which no model could take it."""
    longest_bp = int(loaded.tokenizer.token_bp.max())
    limit_bp = loaded.max_tokens * longest_bp
    kept, kept_bp = [], 0
    for chunk in iter_chunks(path, chunk_bp=PIECE_BP):
        place = f"{path}: record {chunk.contig!r}"
        if kept_bp + len(chunk.sequence) > limit_bp and not truncate:
            raise TooLongError(
                f"{place}: over {limit_bp:,} bases, expected at most {loaded.max_tokens} tokens of "
                f"{longest_bp} bases or fewer: cut it into windows, or allow cutting at the "
                f"right end (--truncate)"
            )
        kept.append(chunk.sequence[: limit_bp - kept_bp])
        kept_bp += len(kept[-1])
        if chunk.last:
            yield _Piece(chunk.contig, place, 0, True, "".join(kept))
            kept, kept_bp = [], 0
