# SPDX-License-Identifier: Apache-2.0
# common.sh: what the server scripts share; sourced, never run. A server of DIR has its process id in DIR/pid, its output in DIR/log.
#
# Servers listen on loopback and never run as root: root drops to $SERVERS_USER (nobody). What is fetched is kept in $SERVERS_CACHE
# (cache/servers of the tree). Exit status 77 says, with a message, that this machine lacks something, so that a test can skip.
set -euo pipefail
servers_folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${SERVERS_CACHE:-$servers_folder/../../cache/servers}

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

missing() {
    echo "${0##*/}: SKIP: $*" >&2
    exit 77
}

need() {
    local command
    for command in "$@"; do
        command -v "$command" >/dev/null 2>&1 || missing "'$command' is not installed (make deps-test installs what the tests need)"
    done
}

now_ms() { date +%s%3N; }

# The words before a server's command line that drop root's rights.
as_user=()
if [ "$(id -u)" = 0 ]; then
    need setpriv
    server_user=${SERVERS_USER:-nobody}
    as_user=(setpriv --reuid "$server_user" --regid "$(id -gn "$server_user")" --clear-groups --no-new-privs)
fi

give_to_user() { [ "$(id -u)" != 0 ] || chown -R "$server_user" "$1"; }

user_reads() { "${as_user[@]}" test -r "$1" -a -x "$1"; }

ports_are_free() { # PORT...
    local port
    for port in "$@"; do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            busy_port=$port
            return 1
        fi
    done
}

# The id of the server of DIR, if it lives and is that server and no later process of the same id.
pid_of() { # DIR
    local pid
    pid=$(cat "$1/pid" 2>/dev/null) || return 1
    [ -r "/proc/$pid/cmdline" ] && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -F -- "$1" >/dev/null && echo "$pid"
}

launch() { # DIR COMMAND...
    local folder=$1
    shift
    (cd "$folder" && exec setsid "${as_user[@]}" "$@") >>"$folder/log" 2>&1 </dev/null &
    echo $! >"$folder/pid"
}

wait_until_ready() { # DIR SECONDS COMMAND...: until COMMAND succeeds
    local folder=$1 end=$(($(now_ms) + $2 * 1000))
    shift 2
    until "$@" 2>/dev/null; do
        if ! pid_of "$folder" >/dev/null; then
            tail -n 25 "$folder/log" >&2
            die "the server of $folder ended while it started (above: $folder/log)"
        fi
        if [ "$(now_ms)" -ge $end ]; then
            tail -n 25 "$folder/log" >&2
            die "the server of $folder was not ready in time (above: $folder/log)"
        fi
        sleep 0.05
    done
}

# A process whose first thread is a zombie still has its ports until the last thread is gone.
has_ended() { # PID
    local threads=("/proc/$1/task/"*)
    [ ! -d "/proc/$1" ] || { [ "$(awk '{print $3}' "/proc/$1/stat" 2>/dev/null)" = Z ] && [ ${#threads[@]} = 1 ]; }
}

end_server() { # DIR SIGNAL: asks, after five seconds insists
    local pid tries=0
    if pid=$(pid_of "$1"); then
        kill "-$2" "$pid" 2>/dev/null || true
        until has_ended "$pid"; do
            sleep 0.05
            tries=$((tries + 1))
            [ $tries != 100 ] || kill -KILL "$pid" 2>/dev/null || true
            [ $tries -lt 600 ] || die "process $pid does not end"
        done
    fi
    rm -f "$1/pid"
}

memory_of() { awk '/VmRSS/ {now = $2} /VmHWM/ {most = $2} END {printf "memory %d MB, at most %d MB\n", now / 1024, most / 1024}' "/proc/$1/status"; }

# Networks have moments: up to four tries, each failure but the last with a line and a longer pause.
patiently() { # WHAT COMMAND...
    local what=$1 pause
    shift
    for pause in 5 15 45; do
        ! "$@" || return 0
        echo "${0##*/}: $what failed; again in $pause s" >&2
        sleep $pause
    done
    "$@"
}

# One run of Maven in FOLDER, its output in FOLDER/log; a silent connection is given up after a minute, not after Maven's half hour.
run_maven() { # FOLDER JAVA_OPTIONS
    local limits="-Dmaven.wagon.rto=60000 -Daether.connector.connectTimeout=20000 -Daether.connector.requestTimeout=60000"
    (cd "$1" && MAVEN_OPTS="${MAVEN_OPTS:-} $limits $2" timeout 300 mvn -B -q -C -U dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$PWD/jars") >"$1/log" 2>&1 </dev/null
}

# Java's trust store may be empty or lack an authority that the system trusts: the hook that fills it comes with another package. Where it
# does not do and the user named none, Maven gets one that holds what the system trusts.
copy_dependencies() { # FOLDER
    local bundle=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
    ! run_maven "$1" "" || return 0
    case "${MAVEN_OPTS:-} ${JAVA_TOOL_OPTIONS:-}" in *javax.net.ssl.trustStore=*) return 1 ;; esac
    [ -s "$bundle" ] && python3 "$servers_folder/java_truststore.py" "$bundle" "$1/trusted" || return 1
    run_maven "$1" "-Djavax.net.ssl.trustStore=trusted -Djavax.net.ssl.trustStorePassword=changeit"
}

# Fetches the Maven dependencies on standard input, with what they need, into FOLDER; FOLDER/.complete marks a whole set. Maven checks
# the checksums of what it fetches. One fetches at a time: neither the cache nor Maven's own repository takes two.
fetch_jars() { # FOLDER
    local folder=$1 dependencies work lock
    dependencies=$(cat)
    [ "$(cat "$folder/.complete" 2>/dev/null || true)" != "$dependencies" ] || return 0
    need java mvn python3 flock timeout
    mkdir -p "$cache"
    exec {lock}>"$cache/jars.lock"
    flock "$lock"
    if [ "$(cat "$folder/.complete" 2>/dev/null || true)" != "$dependencies" ]; then
        rm -rf "$cache"/jars.??????
        work=$(mktemp -d "$cache/jars.XXXXXX")
        printf '%s\n' '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>' \
            '<groupId>local</groupId><artifactId>jars</artifactId><version>1</version>' \
            "<dependencies>$dependencies</dependencies></project>" >"$work/pom.xml"
        echo "${0##*/}: fetching ${folder##*/} by Maven, once" >&2
        if ! patiently "fetching ${folder##*/} by Maven" copy_dependencies "$work"; then
            grep -m 3 ERROR "$work/log" >&2 || true
            rm -rf "$work"
            missing "Maven could not fetch the jars of $folder"
        fi
        chmod -R a+rX "$work/jars"
        printf %s "$dependencies" >"$work/jars/.complete"
        rm -rf "$folder"
        mv -T "$work/jars" "$folder"
        rm -rf "$work"
    fi
    exec {lock}>&-
}

make_certificate() { # FOLDER NAME SUBJECT EXTENSION: NAME.key and NAME.pem, signed by FOLDER's authority
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$3" -keyout "$1/$2.key" -out "$1/$2.csr" 2>/dev/null
    openssl x509 -req -in "$1/$2.csr" -CA "$1/ca.pem" -CAkey "$1/ca.key" -CAcreateserial -days 3650 -extfile <(echo "$4") -out "$1/$2.pem" 2>/dev/null
    rm -f "$1/$2.csr"
}

# DIR/tls: a certificate authority (ca.pem), a server's certificate for localhost (server.pem, server.key; both.pem: key and chain in one
# file), a client's (client.pem, client.key; client.p12 with the password changeit) and one by an authority nobody trusts (stranger.*).
make_tls_files() { # DIR
    local folder=$1/tls authority
    [ ! -e "$folder/both.pem" ] || return 0
    need openssl
    mkdir -p "$folder/other"
    for authority in "$folder/other" "$folder"; do
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=leat test authority" \
            -keyout "$authority/ca.key" -out "$authority/ca.pem" 2>/dev/null
    done
    make_certificate "$folder/other" stranger /CN=stranger extendedKeyUsage=clientAuth
    mv "$folder/other/stranger.key" "$folder/other/stranger.pem" "$folder/"
    rm -r "$folder/other"
    make_certificate "$folder" server /CN=localhost subjectAltName=DNS:localhost,IP:127.0.0.1
    make_certificate "$folder" client /CN=client extendedKeyUsage=clientAuth
    openssl pkcs12 -export -name client -in "$folder/client.pem" -inkey "$folder/client.key" -certfile "$folder/ca.pem" \
        -passout pass:changeit -out "$folder/client.p12"
    chmod a+rx "$folder"
    chmod a+r "$folder"/*
    cat "$folder/server.key" "$folder/server.pem" "$folder/ca.pem" >"$folder/both.pem"
}
