# SPDX-License-Identifier: MIT
"""The build-id of an ELF file, and its machine. Python 3.7, nothing else."""

import os
import struct

_NOTE, _BUILD_ID = 4, 3


def build_id(path):
    """The build-id of an ELF file, in hexadecimal digits; None where it has none."""
    try:
        if not os.path.isfile(path):
            return None
        with open(path, "rb") as f:
            head = f.read(64)
            if head[:4] != b"\x7fELF" or head[4:5] not in b"\1\2":
                return None
            for offset, size in _note_segments(f, head):
                f.seek(offset)
                found = _build_id_in(f.read(min(size, 1 << 16)), _order(head))
                if found:
                    return found
    except (OSError, struct.error):
        pass
    return None


def machine(path):
    """What machine an ELF file is for, and how wide its words are; None for what is none."""
    try:
        with open(path, "rb") as f:
            head = f.read(20)
        return (head[4], head[5], head[18:20]) if head[:4] == b"\x7fELF" else None
    except OSError:
        return None


def _order(head):
    return "<" if head[5] == 1 else ">"


def _note_segments(f, head):
    """(offset, size) of each PT_NOTE."""
    wide = head[4] == 2
    start, = struct.unpack_from(_order(head) + ("Q" if wide else "I"), head, 32 if wide else 28)
    size, count = struct.unpack_from(_order(head) + "HH", head, 54 if wide else 42)
    f.seek(start)
    table = f.read(min(size * count, 1 << 16))
    for at in range(0, len(table) - size + 1, size or 1):
        kind, = struct.unpack_from(_order(head) + "I", table, at)
        if kind == _NOTE:
            offset, = struct.unpack_from(_order(head) + ("Q" if wide else "I"), table, at + (8 if wide else 4))
            length, = struct.unpack_from(_order(head) + ("Q" if wide else "I"), table, at + (32 if wide else 16))
            yield offset, length


def _build_id_in(notes, order):
    at = 0
    while at + 12 <= len(notes):
        name, size, kind = struct.unpack_from(order + "III", notes, at)
        at += 12
        text = notes[at:at + name]
        at += (name + 3) & ~3
        if text == b"GNU\0" and kind == _BUILD_ID:
            return notes[at:at + size].hex()
        at += (size + 3) & ~3
    return None
