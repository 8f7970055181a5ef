#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# stores.sh: what `make bench-stores` does: builds the raw clients, then stores.py starts Kafka, Cassandra and MongoDB and measures. See README.md.
#
#     bench/stores.sh [--quick] [--peers] [--runs N] [--only cassandra,insert,upsert,pipeline] [--rows N] [--users N]
#
# Environment: BUILD (build folder, default build), CC. What it makes is kept in cache/bench, which git does not see.
set -euo pipefail
cd "$(dirname "$0")/.."

build=${BUILD:-build}
[ -x "$build/leat" ] && [ -f "$build/libleat.a" ] || make -s -j"$(nproc)" BUILD="$build" "$build/leat" "$build/libleat.a"

rule='bench-flags:; @echo "$(KAFKA_COMPILE)"; echo "$(MONGO_COMPILE)"; echo "$(LIBS)"'
flags=$(make -s --no-print-directory BUILD="$build" --eval="$rule" bench-flags)
{ read -ra kafka; read -ra mongo; read -ra libraries; } <<<"$flags"
read -ra mongo_libraries <<<"$(pkg-config --libs libmongoc-1.0)"
programs=cache/bench/store-programs-$(cksum <<<"$flags" | cut -d' ' -f1)
mkdir -p "$programs"

compile() { # NAME SOURCE FLAG...
    local target=$programs/$1 source=$2
    shift 2
    [ "$target" -nt "$source" ] && [ "$target" -nt "$build/libleat.a" ] && return
    ${CC:-cc} -std=gnu11 -O2 -Wall -Wextra -D_GNU_SOURCE -pthread -Isrc -o "$target.part" "$source" "$@"
    mv "$target.part" "$target"
}
compile fill bench/peers/fill.c "${kafka[@]}" "$build/libleat.a" "${libraries[@]}"
compile cql_tool test/cql/cql_tool.c test/cql/cql_roundtrip.c "$build/libleat.a" "${libraries[@]}"
compile mongo_raw bench/peers/mongo_raw.c "${mongo[@]}" "${mongo_libraries[@]}"

exec python3 bench/stores.py --leat "$build/leat" --cache cache/bench --programs "$programs" "$@"
