#!/usr/bin/env python3
"""Writes the counts of an instrumented run as text, which every llvm-profdata reads.

    as_text.py RUN.profraw COUNTS.txt

A raw profile is a memory image, and only the llvm-profdata of the compiler's own LLVM reads it. Where a distribution has an
older one, its `merge` takes the text. Layout: LLVM's InstrProfData.inc, version 10 (LLVM 19 and later), counts of 64 bits,
little endian. Values of indirect calls are left out.
"""
import hashlib
import struct
import sys
import zlib

MAGIC = b"\x81rforpl\xff"
VERSION = 10
# Bit of the version word: the counts are those of the compiler's intermediate code.
INTERMEDIATE = 1 << 56
HEADER = struct.Struct("<8s15Q")
# Name, hash of the control flow, counters, bitmap, function, values; number of counters; value sites, bitmap bytes.
FUNCTION = struct.Struct("<6QI3HxxI")


class Unreadable(Exception):
    """What is wrong with the file."""


def uleb128(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def names(data):
    """Functions by the number that records have for them: the first eight bytes of the name's MD5."""
    found, at = {}, 0
    while at < len(data):
        if data[at] == 0:  # padding between the tables of two units
            at += 1
            continue
        plain, at = uleb128(data, at)
        packed, at = uleb128(data, at)
        text = zlib.decompress(data[at:at + packed]) if packed else data[at:at + plain]
        at += packed or plain
        for name in text.split(b"\x01"):
            found[int.from_bytes(hashlib.md5(name).digest()[:8], "little")] = name
    return found


def functions(raw):
    """Name, hash and counts of each function."""
    if len(raw) < HEADER.size:
        raise Unreadable("too short for a raw profile")
    (magic, version, ids, records, before, counters, after, bitmap, after_bitmap, names_size,
     counters_delta, *_rest) = HEADER.unpack_from(raw)
    if magic != MAGIC:
        raise Unreadable("not a raw profile of this kind of machine (64 bits, little endian)")
    if version & 0xFFFFFFFF != VERSION or not version & INTERMEDIATE:
        raise Unreadable("a raw profile of version %d, and %d is known here; use the llvm-profdata of the compiler: "
                         "rustup component add llvm-tools" % (version & 0xFFFFFFFF, VERSION))
    records_at = HEADER.size + ids
    counters_at = records_at + records * FUNCTION.size + before
    names_at = counters_at + counters * 8 + after + bitmap + after_bitmap
    if names_at + names_size > len(raw):
        raise Unreadable("the file is cut off")
    known = names(raw[names_at:names_at + names_size])
    for number in range(records):
        name, flow, place, _, _, _, count, *_ = FUNCTION.unpack_from(raw, records_at + number * FUNCTION.size)
        if name not in known:
            raise Unreadable("a function without a name")
        # Relative to the record itself; the header has the distance for the first.
        offset = (place - counters_delta + number * FUNCTION.size) & 0xFFFFFFFFFFFFFFFF
        if offset + count * 8 > counters * 8:
            raise Unreadable("counts outside of their table")
        yield known[name], flow, struct.unpack_from("<%dQ" % count, raw, counters_at + offset)


def text(raw):
    parts = [b":ir\n"]
    for name, flow, counts in functions(raw):
        parts.append(b"%s\n%d\n%d\n%s\n" % (name, flow, len(counts), b"".join(b"%d\n" % count for count in counts)))
    return b"".join(parts)


def main(arguments):
    if len(arguments) != 2:
        sys.exit(__doc__)
    source, target = arguments
    with open(source, "rb") as file:
        raw = file.read()
    try:
        written = text(raw)
    except Unreadable as wrong:
        sys.exit("%s: %s" % (source, wrong))
    with open(target, "wb") as file:
        file.write(written)


if __name__ == "__main__":
    main(sys.argv[1:])
