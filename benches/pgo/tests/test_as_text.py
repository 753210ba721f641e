import hashlib
import os
import sys
import unittest
import zlib

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import as_text  # noqa: E402


def uleb128(value):
    out = bytearray()
    while True:
        out.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(out)


def profile(functions, packed=False, version=as_text.VERSION, delta=4096):
    """A raw profile of these functions: name, hash, counts."""
    table = b"\x01".join(name for name, _, _ in functions)
    stored = zlib.compress(table) if packed else table
    names = uleb128(len(table)) + uleb128(len(stored) if packed else 0) + stored
    records, counts, used = [], [], 0
    for number, (name, flow, own) in enumerate(functions):
        place = delta + used * 8 - number * as_text.FUNCTION.size
        key = int.from_bytes(hashlib.md5(name).digest()[:8], "little")
        records.append(as_text.FUNCTION.pack(key, flow, place, 0, 0, 0, len(own), 0, 0, 0, 0))
        counts += [count.to_bytes(8, "little") for count in own]
        used += len(own)
    header = as_text.HEADER.pack(as_text.MAGIC, version | as_text.INTERMEDIATE, 8, len(functions), 0, used, 0, 0, 0,
                                 len(names), delta, 0, 0, 0, 0, 2)
    return header + b"\0" * 8 + b"".join(records) + b"".join(counts) + names


FUNCTIONS = [(b"main", 7, (1, 2, 3)), (b"of.unit;helper", 2**63 + 1, (0,)), (b"last", 9, (2**40, 5))]
TEXT = b":ir\nmain\n7\n3\n1\n2\n3\n\nof.unit;helper\n9223372036854775809\n1\n0\n\nlast\n9\n2\n1099511627776\n5\n\n"


class AsText(unittest.TestCase):
    def test_each_function_stands_with_its_hash_and_its_counts(self):
        self.assertEqual(as_text.text(profile(FUNCTIONS)), TEXT)

    def test_packed_names_are_unpacked(self):
        self.assertEqual(as_text.text(profile(FUNCTIONS, packed=True)), TEXT)

    def test_another_version_is_refused_with_what_to_do(self):
        with self.assertRaisesRegex(as_text.Unreadable, "version 11.*rustup component add llvm-tools"):
            as_text.text(profile(FUNCTIONS, version=11))

    def test_what_is_no_profile_or_torn_is_refused(self):
        whole = profile(FUNCTIONS)
        for raw in (b"", b"\0" * 200, whole[:-3], whole[:200]):
            with self.assertRaises(as_text.Unreadable):
                as_text.text(raw)


if __name__ == "__main__":
    unittest.main()
