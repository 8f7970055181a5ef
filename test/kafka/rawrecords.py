# SPDX-License-Identifier: Apache-2.0
"""Record batches as they lie in a segment file (message format 2), found and damaged in place while the broker is down.

    0  base offset 8 | length 4 | leader epoch 4 | magic 1 | crc32c 4 | attributes 2 | last offset delta 4 | … | record count 4 | records
    the length counts from the leader epoch, the checksum from the attributes to the end; codec: the low three bits of the attributes
"""
import collections
import struct

HEADER_BYTES, CRC_AT, ATTRIBUTES_AT, RECORDS_AT = 12, 17, 21, 61
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
Batch = collections.namedtuple("Batch", "at size first last codec")


def make_table():
    table = []
    for i in range(256):
        c = i
        for _ in range(8):
            c = (c >> 1) ^ (0x82F63B78 if c & 1 else 0)
        table.append(c)
    return table


TABLE = make_table()


def crc32c(data):
    c = 0xFFFFFFFF
    for byte in data:
        c = TABLE[(c ^ byte) & 0xFF] ^ (c >> 8)
    return c ^ 0xFFFFFFFF


def batches(path):
    with open(path, "rb") as f:
        data = f.read()
    at, found = 0, []
    while at + RECORDS_AT <= len(data):
        first, length = struct.unpack_from(">qi", data, at)
        if length <= 0 or at + HEADER_BYTES + length > len(data) or data[at + 16] != 2:
            break
        attributes, last_delta = struct.unpack_from(">hi", data, at + ATTRIBUTES_AT)
        found.append(Batch(at, HEADER_BYTES + length, first, first + last_delta, attributes & 7))
        at += HEADER_BYTES + length
    return found


def spoil(path, batch, right_checksum, rng):
    """Junk in place of the records; the checksum made right for it, or left as it was."""
    with open(path, "r+b") as f:
        f.seek(batch.at)
        data = bytearray(f.read(batch.size))
        data[RECORDS_AT:] = bytes(rng.randrange(256) for _ in range(batch.size - RECORDS_AT))
        if right_checksum:
            struct.pack_into(">I", data, CRC_AT, crc32c(data[ATTRIBUTES_AT:]))
        f.seek(batch.at)
        f.write(data)
