#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kafka.sh: what `make bench-kafka` does: builds the programs of peers/, then kafka.py starts a broker, fills topics, measures. See README.md.
#
#     bench/kafka.sh [--quick] [--full] [--peers] [--runs N] [--only users,filter,…] [--version 4.4.0]
#
# Environment: BUILD (build folder, default build), CC, KAFKA_SCRIPT (default test/servers/kafka.sh). What it makes is kept in cache/bench,
# which git does not see; topics are made anew in each run.
set -euo pipefail
cd "$(dirname "$0")/.."

build=${BUILD:-build}
[ -x "$build/leat" ] && [ -f "$build/libleat.a" ] || make -s -j"$(nproc)" BUILD="$build" "$build/leat" "$build/libleat.a"

# The same client library, with the same flags, as leat itself.
flags=$(make -s --no-print-directory BUILD="$build" --eval='bench-flags:; @echo "$(KAFKA_COMPILE)"; echo "$(LIBS)"' bench-flags)
{ read -ra compile; read -ra libraries; } <<<"$flags"
programs=cache/bench/kafka-programs-$(cksum <<<"$flags" | cut -d' ' -f1)
mkdir -p "$programs"
for program in fill floor latency; do
    target=$programs/$program
    if [ ! "$target" -nt "bench/peers/$program.c" ] || [ ! "$target" -nt bench/peers/client.h ] || [ ! "$target" -nt "$build/libleat.a" ]; then
        ${CC:-cc} -std=gnu11 -O2 -Wall -Wextra -D_GNU_SOURCE -pthread -Isrc "${compile[@]}" -o "$target.part" "bench/peers/$program.c" \
            "$build/libleat.a" "${libraries[@]}"
        mv "$target.part" "$target"
    fi
done

exec python3 bench/kafka.py --leat "$build/leat" --cache cache/bench --programs "$programs" "$@"
