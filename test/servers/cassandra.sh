#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# cassandra.sh: Apache Cassandra on loopback, for tests and for trying leat; needs Java 17 (or 11) and Maven.
#
#     cassandra.sh start DIR PORT [VERSION]   VERSION 5.0.9 if not said; data and settings of an earlier start of DIR are kept
#     cassandra.sh stop|kill9|pause|resume DIR [NODE]
#     cassandra.sh restart DIR NODE           start a node that ended
#     cassandra.sh info DIR                   addresses, processes
#     cassandra.sh fetch [VERSION]            get the jars, start nothing
#
# Environment of the first start: CASSANDRA_NODES=1|2|3 (node i listens at 127.0.0.i), CASSANDRA_AUTH=1 (password and permissions are asked for;
# cassandra/cassandra is the first user), CASSANDRA_TLS=1 (TLS and plain on PORT), =only (TLS alone) or =client (TLS alone, a client certificate
# is required; files in DIR/tls), CASSANDRA_YAML='more: yaml'. Of any start: CASSANDRA_SYNC=periodic|batch|group (of the commit log: periodic, the
# server's default, may lose the last 0.1 s of acknowledged rows to kill -9), CASSANDRA_HEAP=512m, CASSANDRA_JIT=full, CASSANDRA_LOG=WARN.
# A node has PORT for clients and PORT + 1 for the others of its ring.
. "$(dirname "$0")/common.sh"

usage() {
    sed -n '/^#     cassandra/,/^[^#]/{/^#/s/^# \{0,5\}//p}' "$0" >&2
    exit 2
}

fetch() { # VERSION: sets jars
    jars=$cache/cassandra-$1
    echo "<dependency><groupId>org.apache.cassandra</groupId><artifactId>cassandra-all</artifactId><version>$1</version></dependency>" | fetch_jars "$jars"
}

# What Cassandra reaches into of the Java runtime: its own list of exports and opens, cut to what a start needs.
exports="java.base/jdk.internal.misc java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.registry java.rmi/sun.rmi.server
    java.sql/java.sql java.base/java.lang.ref jdk.unsupported/sun.misc jdk.attach/sun.tools.attach"
opens="java.base/java.lang.module java.base/jdk.internal.loader java.base/jdk.internal.ref java.base/jdk.internal.reflect java.base/jdk.internal.math
    java.base/jdk.internal.module java.base/jdk.internal.util.jar java.base/sun.nio.ch java.base/java.io java.base/java.lang.reflect
    java.base/java.lang java.base/java.util java.base/java.nio jdk.management/com.sun.management.internal"

set_java() { # NODE: the command line of one node: sets java
    local folder=$top/$1 heap=${CASSANDRA_HEAP:-512m} name
    java=(java)
    for name in $exports; do java+=(--add-exports "$name=ALL-UNNAMED"); done
    for name in $opens; do java+=(--add-opens "$name=ALL-UNNAMED"); done
    java+=(-Djdk.attach.allowAttachSelf=true -Dio.netty.tryReflectionSetAccessible=true "-Xms$heap" "-Xmx$heap" -XX:MaxDirectMemorySize=256m
        -XX:+UseSerialGC -Xss512k -XX:-UsePerfData)
    [ "${CASSANDRA_JIT:-}" = full ] || java+=(-XX:TieredStopAtLevel=1)
    java+=("-Djava.io.tmpdir=$folder/tmp" "-Djna.tmpdir=$folder/tmp" "-Dcassandra.config=file://$folder/cassandra.yaml" "-Dcassandra.storagedir=$folder/data"
        -Dcassandra-foreground=yes -Dcassandra.skip_wait_for_gossip_to_settle=0 -Dcassandra.ring_delay_ms=0 -Dcassandra.superuser_setup_delay_ms=0
        "-Dlogback.configurationFile=$folder/logback.xml" "-javaagent:$(echo "$jars"/jamm-*.jar)" -cp "$jars/*")
}

sync=${CASSANDRA_SYNC:-periodic}
case $sync in periodic | batch | group) ;; *) die "CASSANDRA_SYNC is periodic, batch or group" ;; esac

address_of() { echo "127.0.0.$1"; } # NODE

# Eight tokens a node, dealt in turn, so that every ring is the same and even.
tokens_of() { # NODE
    python3 -c 'import sys; n, of = int(sys.argv[1]), int(sys.argv[2]); print(", ".join(str(-2**63 + 1 + (i * of + n - 1) * (2**64 // (8 * of))) for i in range(8)))' "$1" "$nodes"
}

tls_yaml() {
    local optional=false client=false
    [ "$tls" != 1 ] || optional=true
    [ "$tls" != client ] || client=true
    cat <<X
client_encryption_options:
  enabled: true
  optional: $optional
  require_client_auth: $client
  ssl_context_factory:
    class_name: org.apache.cassandra.security.PEMBasedSslContextFactory
  keystore: $top/tls/both.pem
  truststore: $top/tls/ca.pem
X
}

configuration() { # NODE
    local address
    address=$(address_of "$1")
    cat <<X
cluster_name: $id
num_tokens: 8
initial_token: "$(tokens_of "$1")"
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
seed_provider: [{class_name: org.apache.cassandra.locator.SimpleSeedProvider, parameters: [{seeds: "127.0.0.1:$((port + 1))"}]}]
listen_address: $address
rpc_address: $address
storage_port: $((port + 1))
native_transport_port: $port
auto_bootstrap: false
auto_snapshot: false
commitlog_sync: $sync
commitlog_segment_size: 8MiB
memtable_heap_space: 64MiB
memtable_offheap_space: 64MiB
file_cache_size: 32MiB
key_cache_size: 0MiB
concurrent_compactors: 1
user_defined_functions_enabled: false
X
    case $sync in
    periodic) echo "commitlog_sync_period: 10000ms" ;;
    group) echo "commitlog_sync_group_window: 10ms" ;;
    esac
    [ -z "$auth" ] || printf '%s\n' "authenticator: PasswordAuthenticator" "authorizer: CassandraAuthorizer" "role_manager: CassandraRoleManager" \
        "permissions_validity: 0ms" "roles_validity: 0ms" "credentials_validity: 0ms"
    [ -z "$tls" ] || tls_yaml
    echo "$more"
}

write_log_settings() { # FOLDER
    local pattern='%d %-5level %logger{20} %msg%n'
    printf '<configuration><appender name="E" class="ch.qos.logback.core.ConsoleAppender"><encoder><pattern>%s</pattern></encoder></appender><root level="%s"><appender-ref ref="E"/></root></configuration>\n' \
        "$pattern" "${CASSANDRA_LOG:-WARN}" >"$1/logback.xml"
}

load() { # DIR: what start wrote down
    top=$(cd "$1" 2>/dev/null && pwd) || die "there is no folder $1"
    [ -e "$top/settings" ] || die "no Cassandra was started in $top"
    . "$top/settings"
}

# A tree under a folder closed to others: the server's user gets links to the jars, or copies, in DIR.
reach_jars() {
    user_reads "$jars" && return 0
    [ "$(cat "$top/jars/.complete" 2>/dev/null || true)" = "$(cat "$jars/.complete")" ] || {
        rm -rf "$top/jars"
        cp -al "$jars" "$top/jars" 2>/dev/null || { rm -rf "$top/jars"; cp -a "$jars" "$top/jars"; }
    }
    jars=$top/jars
}

write_settings() {
    [ -n "${id:-}" ] || id=leat-$(head -c 9 /dev/urandom | base64 | tr '+/' AB)
    printf 'id=%q port=%q version=%q nodes=%q auth=%q tls=%q more=%q\n' "$id" "$port" "$version" "$nodes" "$auth" "$tls" "$more" >"$top/settings"
    chmod 600 "$top/settings"
}

# Cassandra asks Java for the free space of its folders, and Java looks for their mount point: in a chroot the root may be none. Then the server gets
# a root of its own that is one.
run_node() { # NODE
    local drop_rights=("${as_user[@]}")
    if [ "$(id -u)" = 0 ] && ! grep -q ' / ' /proc/self/mounts; then
        local as_user=(unshare --mount --propagation unchanged sh -c 'mount --rbind / / && exec chroot /.. "$@"' sh "${drop_rights[@]}")
    fi
    set_java "$1"
    launch "$top/$1" "${java[@]}" org.apache.cassandra.service.CassandraDaemon
}

wait_for_node() { # NODE HOW_MANY_IT_SEES
    local secure=()
    case $tls in only | client) secure=(--tls "$top/tls/ca.pem") ;; esac
    wait_until_ready "$top/$1" 120 python3 "$servers_folder/cql_ready.py" "$(address_of "$1")" "$port" "$id" --nodes "$2" "${secure[@]}"
}

node_ports_are_free() { # NODE
    local candidate
    for candidate in "$port" $((port + 1)); do
        if (exec 3<>"/dev/tcp/$(address_of "$1")/$candidate") 2>/dev/null; then
            busy_port=$candidate
            return 1
        fi
    done
}

start_node() { # NODE
    pid_of "$top/$1" >/dev/null && return 0
    node_ports_are_free "$1" || die "port $busy_port of $(address_of "$1") is in use by another process; a node takes $port and $((port + 1))"
    mkdir -p "$top/$1/tmp"
    configuration "$1" >"$top/$1/cassandra.yaml"
    write_log_settings "$top/$1"
    give_to_user "$top/$1"
    chmod 600 "$top/$1/cassandra.yaml"
    run_node "$1"
}

start() { # DIR PORT [VERSION]
    local since node
    need java python3
    mkdir -p "$1"
    top=$(cd "$1" && pwd)
    chmod a+x "$top"
    user_reads "$top" || chmod a+rx "$top"
    user_reads "$top" || die "the user $server_user, whom the server runs as, cannot enter $top; take a folder under /tmp or /var/tmp"
    version=${3:-5.0.9} nodes=${CASSANDRA_NODES:-1} auth=${CASSANDRA_AUTH:-} tls=${CASSANDRA_TLS:-} more=${CASSANDRA_YAML:-}
    port=$2
    [ ! -e "$top/settings" ] || . "$top/settings"
    [ "$port" = "$2" ] || ! pid_of "$top/1" >/dev/null || die "the server of $top runs on port $port; stop it first"
    port=$2
    [[ $port =~ ^[0-9]+$ ]] && [ "$port" -ge 1024 ] && [ "$port" -le 65500 ] || die "PORT is a number from 1024 to 65500"
    case $nodes in 1 | 2 | 3) ;; *) die "CASSANDRA_NODES is 1, 2 or 3" ;; esac
    case $auth in '' | 1) ;; *) die "CASSANDRA_AUTH is 1" ;; esac
    case $tls in '' | 1 | only | client) ;; *) die "CASSANDRA_TLS is 1, only or client" ;; esac
    [ -z "${3:-}" ] || [ "$3" = "$version" ] || die "$top holds the data of Cassandra $version; take another folder for $3"
    fetch "$version"
    reach_jars
    write_settings
    [ -z "$tls" ] || make_tls_files "$top"
    since=$(now_ms)
    for node in $(seq "$nodes"); do  # one by one: a ring takes in one node at a time
        start_node "$node"
        wait_for_node "$node" "$node"
    done
    for node in $(seq "$nodes"); do wait_for_node "$node" "$nodes"; done
    echo "ready 127.0.0.1:$port cassandra $version nodes=$nodes total=$(($(now_ms) - since))ms"
    addresses
}

addresses() {
    local node
    for node in $(seq "$nodes"); do echo "CQL $(address_of "$node"):$port"; done
    [ -z "$tls" ] || echo "certificates $top/tls"
}

nodes_named() { # [NODE]
    if [ -n "${1:-}" ]; then
        [[ $1 =~ ^[0-9]+$ ]] && [ "$1" -ge 1 ] && [ "$1" -le "$nodes" ] || die "NODE is a number from 1 to $nodes"
        echo "$1"
    else
        seq "$nodes"
    fi
}

# The kernel may take a moment to close what a killed process listened on.
wait_until_ports_are_free() { # NODE
    local tries
    for tries in $(seq 100); do
        node_ports_are_free "$1" && return 0
        sleep 0.05
    done
    die "port $busy_port is still in use $((tries / 20)) s after the end of node $1"
}

end_nodes() { # SIGNAL [NODE]
    local node pid chosen
    chosen=$(nodes_named "${2:-}")
    for node in $chosen; do
        ! pid=$(pid_of "$top/$node") || kill "-$1" "$pid" 2>/dev/null || true
    done
    for node in $chosen; do
        pid_of "$top/$node" >/dev/null || [ -e "$top/$node/pid" ] || continue
        end_server "$top/$node" "$1"
        wait_until_ports_are_free "$node"
    done
}

signal_nodes() { # SIGNAL [NODE]
    local node pid chosen
    chosen=$(nodes_named "${2:-}")
    for node in $chosen; do
        pid=$(pid_of "$top/$node") || die "node $node does not run"
        kill "-$1" "$pid"
    done
}

restart() { # NODE
    local since
    nodes_named "$1" >/dev/null
    fetch "$version"
    reach_jars
    since=$(now_ms)
    pid_of "$top/$1" >/dev/null || run_node "$1"
    wait_for_node "$1" 1
    echo "node $1 ready after $(($(now_ms) - since))ms"
}

info() {
    local node pid
    addresses
    for node in $(seq "$nodes"); do
        if pid=$(pid_of "$top/$node"); then
            echo "node $node process $pid $(memory_of "$pid")"
        else
            echo "node $node down"
        fi
    done
    du -sh "$top"
}

command=${1:-}
shift || true
case $command:$# in
fetch:[01]) fetch "${1:-5.0.9}"; du -sh "$jars" ;;
start:[23]) start "$@" ;;
restart:2) load "$1"; restart "$2" ;;
stop:[12]) load "$1"; end_nodes TERM "${2:-}" ;;
kill9:[12]) load "$1"; end_nodes KILL "${2:-}" ;;
pause:[12]) load "$1"; signal_nodes STOP "${2:-}" ;;
resume:[12]) load "$1"; signal_nodes CONT "${2:-}" ;;
info:1) load "$1"; info ;;
*) usage ;;
esac
