#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# librdkafka.sh: builds the Kafka client library that leat links, once, into deps/librdkafka-VERSION/{include,lib}.
#
#     tools/librdkafka.sh        fetch, check, build; nothing if it is there; exit 0 without it too, the system's library then serves
#
# The source comes by name and version from npm: a package of the vendor's carries it. It is used only if its SHA-512 is the one below,
# and no script of the package is run. The archive is kept in deps/; laid there by hand, it serves without npm and network. A build goes
# on in a folder of its own, which becomes deps/librdkafka-VERSION by one rename, so that what is there is whole.
set -euo pipefail
cd "$(dirname "$0")/.."
version=2.15.1
package=@confluentinc/kafka-javascript@1.10.1
archive=deps/confluentinc-kafka-javascript-1.10.1.tgz
sha512=29578f5019f6d44a8254ff667f1cc4b8cdd26091c7105ed7fa2882d9ee374108034b211a92c2279821a8a13df0e6af9c340764482acaef58f42027eaa12a992f
flags='-ffunction-sections -fdata-sections -fstack-protector-strong -fno-asynchronous-unwind-tables'
# What every message passes through is built for speed, the rest (protocol of administration, mock broker …) for size.
fast='crc32c lz4 lz4frame snappy rdbuf rdvarint rdgz rdxxhash rdmurmur2 tinycthread rdkafka rdkafka_broker rdkafka_buf rdkafka_fetcher
      rdkafka_header rdkafka_lz4 rdkafka_msg rdkafka_msgset_reader rdkafka_msgset_writer rdkafka_offset rdkafka_op rdkafka_partition rdkafka_queue
      rdkafka_timer rdkafka_transport rdkafka_zstd'
built=deps/librdkafka-$version
work=deps/librdkafka.part
log=deps/librdkafka.log

without() {
    rm -rf "$work"
    {
        echo "librdkafka: $version was not built: $*"
        echo "librdkafka: the system's $(pkg-config --modversion rdkafka 2>/dev/null || echo 'library, if there is one,') is linked instead." \
 "With one older than 2.6.1, SCRAM logins to Kafka 4 fail."
        echo "librdkafka: to try again: make deps"
    } >&2
    exit 0
}

is_right() { printf '%s  %s\n' "$sha512" "$1" | sha512sum --check --status 2>/dev/null; }

fetch() {
    is_right "$archive" && return 0
    command -v npm >/dev/null || tools/deps.sh npm || without "npm, which fetches it, could not be installed"
    local pause
    for pause in 5 20 0; do
        ! (cd "$work" && npm pack --silent --ignore-scripts --fetch-retries=1 --fetch-timeout=60000 "$package") >>"$log" 2>&1 || break
        [ $pause != 0 ] || without "npm could not fetch $package ($log)"
        echo "librdkafka: npm could not fetch $package; again in $pause s" >&2
        sleep $pause
    done
    is_right "$work/${archive#deps/}" || without "$package is not what it was: its SHA-512 differs"
    mv "$work/${archive#deps/}" "$archive"
}

has_features() {
    local feature
    for feature in ZLIB ZSTD SSL SNAPPY SASL_SCRAM; do
        grep -q "^WITH_$feature=[[:space:]]*y" "$work/source/Makefile.config" || { echo "configure left out $feature"; return 1; }
    done
}

compile() { env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -C "$work/source/src" -j"$(nproc)" "$@"; }

# Only the C library; configure insists on the name of a C++ compiler it then has no use for.
build() {
    mkdir "$work/source" "$work/result" "$work/result/include" "$work/result/include/librdkafka" "$work/result/lib" &&
        tar -xzf "$archive" -C "$work/source" --strip-components=3 package/deps/librdkafka &&
        (cd "$work/source" && CXX=gcc ./configure --no-download --disable-gssapi --disable-curl --disable-lz4-ext --disable-syslog --disable-c11threads \
            --disable-debug-symbols --CFLAGS="$flags") &&
        has_features &&
        compile $(printf '%s.o ' $fast) &&
        sed -i 's/-O2/-Os/' "$work/source/Makefile.config" &&
        compile librdkafka.a &&
        cp "$work/source/src/rdkafka.h" "$work/source/src/rdkafka_mock.h" "$work/result/include/librdkafka/" &&
        cp "$work/source/src/librdkafka.a" "$work/result/lib/" &&
        cp "$work/source/LICENSES.txt" "$work/result/" &&
        sync -f "$work/result" &&
        mv -T "$work/result" "$built"
}

[ ! -f "$built/lib/librdkafka.a" ] || exit 0
mkdir -p deps
exec 9>deps/librdkafka.lock
flock 9
[ ! -f "$built/lib/librdkafka.a" ] || exit 0
rm -rf "$work" "$built"
mkdir "$work"
: >"$log"
fetch
echo "deps: building librdkafka $version, about a minute"
build >>"$log" 2>&1 || without "its build failed ($log)"
rm -rf "$work"
