"""Byte-pair encoding: helixlm against ``Tokenizer.encode_batch``, side by side.

Both get the same vocabulary and the same lines in one process, use all cores, and take turns. The
ids are compared. The library encodes with ``encode_batch_fast``, without offsets: its fastest way.

    python benchmarks/bpe_encode.py                             # a simulated genome
    python benchmarks/bpe_encode.py --fasta sacCer3.fa.gz
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from bpe_train import real, simulated
from tokenizers import Tokenizer

from helixlm.tokenizers.bpe_train import train_bpe

LINES = (1_000, 12_000, 2_000_000)


def main() -> None:
    """Print a line for each length of lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fasta", type=Path, nargs="*", default=[])
    parser.add_argument("--mbp", type=int, default=12)
    parser.add_argument("--vocab-size", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    text = "".join(real(options.fasta, options.mbp) if options.fasta else simulated(options.mbp))
    tokenizer = train_bpe([text], vocab_size=options.vocab_size, min_frequency=2)
    library = Tokenizer.from_str(tokenizer._text)
    for line_bp in LINES:
        lines = [text[at : at + line_bp] for at in range(0, len(text), line_bp)]
        tokenizer.encode_batch(lines)  # what is compiled or remembered, is so before the clock runs
        times: dict[str, list[float]] = {"helixlm": [], "tokenizers": []}
        for _ in range(options.repeats):
            begin = time.perf_counter()
            ours = tokenizer.encode_batch(lines)
            times["helixlm"].append(time.perf_counter() - begin)
            begin = time.perf_counter()
            theirs = library.encode_batch_fast(lines, add_special_tokens=False)
            times["tokenizers"].append(time.perf_counter() - begin)
        same = all(np.array_equal(own, other.ids) for own, other in zip(ours, theirs, strict=True))
        ratios = [b / a for a, b in zip(times["helixlm"], times["tokenizers"], strict=True)]
        rates = {
            side: len(text) / statistics.median(seconds) / 1e6 for side, seconds in times.items()
        }
        print(
            f"lines of {line_bp:>9,}: helixlm {rates['helixlm']:7.1f} MB/s, tokenizers "
            f"{rates['tokenizers']:6.1f} MB/s, ratio {statistics.median(ratios):5.1f}x "
            f"({min(ratios):.1f}x to {max(ratios):.1f}x), ids {'identical' if same else 'DIFFER'}",
            flush=True,
        )
        del theirs


if __name__ == "__main__":
    main()
