#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# deps.sh PACKAGE...: installs those Debian packages that are missing, by name, as root or with sudo. Does nothing if none is.
set -euo pipefail
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "deps: this is no Debian; install what these packages hold yourself: $*" >&2
    exit 0
fi
missing=()
for package in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
root=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "deps: run as root (there is no sudo): apt-get install ${missing[*]}" >&2; exit 1; }
    root=(sudo)
fi
echo "deps: installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Waits for another apt to end; a package that a mirror has just replaced is found after the next update.
install() {
    local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300)
    "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${missing[@]}"
}

for pause in 5 20 0; do
    ! install >"$log" 2>&1 || exit 0
    [ $pause != 0 ] || break
    echo "deps: apt-get failed: $(grep -m 1 '^E:' "$log" || tail -n 1 "$log"); again in $pause s" >&2
    sleep $pause
done
tail -n 20 "$log" >&2
echo "deps: apt-get failed (above)" >&2
exit 1
