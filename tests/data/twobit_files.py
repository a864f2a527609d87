"""A writer of 2bit files, from UCSC's description of the format and from nothing of ours."""

import re
import struct

CODES = {"T": 0, "C": 1, "A": 2, "G": 3, "N": 0}


def runs(pattern, sequence):
    """Starts and sizes of what matches, each preceded by their number when packed."""
    found = [match.span() for match in re.finditer(pattern, sequence)]
    return [start for start, _ in found], [end - start for start, end in found]


def record_bytes(sequence, order):
    """One sequence: its size, its N blocks, its mask blocks, a reserved word, packed bases."""
    words = [len(sequence)]
    for pattern in ("[Nn]+", "[acgtn]+"):
        starts, sizes = runs(pattern, sequence)
        words += [len(starts), *starts, *sizes]
    words.append(0)
    packed = bytearray()
    for i in range(0, len(sequence), 4):
        byte = 0
        for letter in sequence[i : i + 4].upper().ljust(4, "T"):
            byte = byte << 2 | CODES[letter]
        packed.append(byte)
    return struct.pack(f"{order}{len(words)}I", *words) + bytes(packed)


def twobit_bytes(records, order="<", version=0):
    """A whole file; `order` is "<" or ">" as in `struct`, offsets have 64 bits in version 1."""
    offset_type = "I" if version == 0 else "Q"
    bodies = [record_bytes(sequence, order) for sequence in records.values()]
    names = [name.encode() for name in records]
    position = 16 + sum(1 + len(name) + struct.calcsize(offset_type) for name in names)
    index = b""
    for name, body in zip(names, bodies, strict=True):
        index += bytes([len(name)]) + name + struct.pack(order + offset_type, position)
        position += len(body)
    header = struct.pack(order + "4I", 0x1A412743, version, len(records), 0)
    return header + index + b"".join(bodies)
