#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a trust store for Java out of a bundle of certificates: what the system trusts, Java then trusts.

    java_truststore.py BUNDLE STORE        BUNDLE: PEM, such as /etc/ssl/certs/ca-certificates.crt; the password of STORE is changeit

Java's own store is filled by a hook of its package and may be empty or older than the system's. The format is JKS, which every Java reads and
which is simple enough to be written here, where keytool would take half a second for each certificate:

    FEEDFEED, version 2, count │ per certificate: 2, alias, milliseconds, "X.509", length, DER │ SHA-1 of password, salt and all before it

Numbers are big-endian; a text is its length in two bytes and its bytes.
"""
import base64
import hashlib
import re
import struct
import sys

PASSWORD, SALT = "changeit", b"Mighty Aphrodite"
MAGIC, VERSION, TRUSTED_CERTIFICATE = 0xFEEDFEED, 2, 2


def certificates(bundle):
    """Each certificate's DER, once."""
    with open(bundle, encoding="ascii", errors="replace") as f:
        found = re.findall(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----", f.read())
    return list(dict.fromkeys(base64.b64decode(text) for text in found))


def text(value):
    return struct.pack(">H", len(value)) + value.encode("ascii")


def store_of(trusted):
    out = struct.pack(">III", MAGIC, VERSION, len(trusted))
    for i, der in enumerate(trusted):
        out += struct.pack(">I", TRUSTED_CERTIFICATE) + text(f"system-{i}") + struct.pack(">Q", 0) + text("X.509") + struct.pack(">I", len(der)) + der
    return out + hashlib.sha1(PASSWORD.encode("utf-16-be") + SALT + out).digest()


def main(arguments):
    if len(arguments) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    bundle, store = arguments
    try:
        trusted = certificates(bundle)
        if not trusted:
            raise ValueError("it holds no certificate")
        with open(store, "wb") as f:
            f.write(store_of(trusted))
    except (OSError, ValueError) as e:
        print(f"java_truststore: {bundle}: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
