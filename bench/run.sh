#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh: what `make bench` does: builds the file writer, makes the Nexmark file once, gets DuckDB once, measures. See README.md.
#
#     bench/run.sh [--runs N] [--megabytes N] [--only speed|sizes] [--no-duckdb] [--wait-idle SECONDS]
#
# Environment: BUILD (build folder, default build). What it makes is kept in cache/bench, which git does not see.
set -euo pipefail
cd "$(dirname "$0")/.."

build=${BUILD:-build}
cache=cache/bench
megabytes=1000
duckdb=1
arguments=()
while [ $# -gt 0 ]; do
    case $1 in
    --megabytes) megabytes=$2; shift ;;
    --no-duckdb) duckdb=0; arguments+=("$1") ;;
    *) arguments+=("$1") ;;
    esac
    shift
done
duckdb_version=2.0.0
events=$cache/nexmark-$megabytes.jsonl
mkdir -p "$cache"

if [ ! -x "$build/leat" ] || [ ! -f "$build/libleat.a" ]; then
    make -j"$(nproc)" BUILD="$build" "$build/leat" "$build/libleat.a"
fi

if [ ! -s "$events" ]; then
    echo "making $events …" >&2
    make -s BUILD="$build" "$build/nexmark_file"
    "$build/nexmark_file" "$events.part" "$megabytes" >/dev/null
    mv "$events.part" "$events"
fi

python=python3
if [ "$duckdb" = 1 ]; then
    python=$cache/venv/bin/python
    if ! "$python" -c "import duckdb; assert duckdb.__version__ == '$duckdb_version'" 2>/dev/null; then
        echo "getting DuckDB $duckdb_version …" >&2
        python3 -m venv "$cache/venv"
        "$cache/venv/bin/pip" install --quiet "duckdb==$duckdb_version"
    fi
fi

exec "$python" bench/bench.py --leat "$build/leat" --events "$events" --cache "$cache" "${arguments[@]}"
