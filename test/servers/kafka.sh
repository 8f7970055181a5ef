#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kafka.sh: Apache Kafka brokers (KRaft) on loopback, for tests and for trying leat; needs Java 17 and Maven.
#
#     kafka.sh start DIR PORT [VERSION]      VERSION 4.4.0 if not said; data and settings of an earlier start of DIR are kept
#     kafka.sh stop|kill9|pause|resume DIR [NODE]
#     kafka.sh restart DIR NODE              start a node that ended
#     kafka.sh topic DIR NAME PARTITIONS [REPLICAS] [SETTING=VALUE ...]
#     kafka.sh admin DIR COMMAND ...         delete, leader, move, describe-group, …: kafka_rpc.py says what there is
#     kafka.sh info DIR                      addresses, processes, topics
#     kafka.sh fetch [VERSION]               get the jars, start nothing
#
# Environment of the first start: KAFKA_NODES=1|3, KAFKA_SASL=user:password (PLAIN, SCRAM-SHA-256 and -512), KAFKA_TLS=1 or =client (a
# client certificate is required; files in DIR/tls), KAFKA_PROPS="key=value …". Of any start: KAFKA_HEAP=256m, KAFKA_JIT=full, KAFKA_LOG=warn.
# Node i has the ports from PORT + 10 (i − 1): +0 plain, +1 controller, +2 SASL_PLAINTEXT, +3 SSL, +4 SASL_SSL.
. "$(dirname "$0")/common.sh"

usage() {
    sed -n '/^#     kafka/,/^[^#]/{/^#/s/^# \{0,5\}//p}' "$0" >&2
    exit 2
}

dependency() { echo "<dependency><groupId>$1</groupId><artifactId>$2</artifactId><version>$3</version></dependency>"; }

fetch() { # VERSION: sets jars
    local log_binding=slf4j-simple
    case $1 in 3.*) log_binding=slf4j-reload4j ;; esac
    jars=$cache/kafka-$1
    { dependency org.apache.kafka kafka_2.13 "$1"; dependency org.slf4j $log_binding 1.7.36; } | fetch_jars "$jars"
}

set_java() { # the command line that starts a class: sets java
    java=(java "-Xms${KAFKA_HEAP:-256m}" "-Xmx${KAFKA_HEAP:-256m}" -XX:+UseSerialGC -Xshare:auto -XX:-UsePerfData)
    [ "${KAFKA_JIT:-}" = full ] || java+=(-XX:TieredStopAtLevel=1)
    java+=("-Dorg.slf4j.simpleLogger.defaultLogLevel=${KAFKA_LOG:-warn}" "-Dlog4j.configuration=file:$top/log4j.properties" -Dlog4j2.level=WARN)
    java+=(-cp "$jars/*")
}

port_of() { echo $((port + 10 * ($1 - 1))); } # NODE

plain_ports() {
    local node ports=
    for node in $(seq "$nodes"); do ports+=${ports:+,}$(port_of "$node"); done
    echo "$ports"
}

rpc() { python3 "$servers_folder/kafka_rpc.py" "$(plain_ports)" "$@"; }

listeners() { # NODE
    local first
    first=$(port_of "$1")
    echo "PLAINTEXT://127.0.0.1:$first"
    [ -z "$sasl" ] || echo "SASL_PLAINTEXT://127.0.0.1:$((first + 2))"
    [ -z "$tls" ] || echo "SSL://127.0.0.1:$((first + 3))"
    [ -z "$sasl" ] || [ -z "$tls" ] || echo "SASL_SSL://127.0.0.1:$((first + 4))"
}

sasl_properties() {
    local module=org.apache.kafka.common.security listener mechanism
    echo "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"
    for listener in sasl_plaintext sasl_ssl; do
        echo "listener.name.$listener.plain.sasl.jaas.config=$module.plain.PlainLoginModule required user_${sasl%%:*}=\"${sasl#*:}\";"
        for mechanism in scram-sha-256 scram-sha-512; do
            echo "listener.name.$listener.$mechanism.sasl.jaas.config=$module.scram.ScramLoginModule required;"
        done
    done
}

tls_properties() {
    printf '%s\n' ssl.keystore.type=PEM "ssl.keystore.location=$top/tls/both.pem" ssl.truststore.type=PEM "ssl.truststore.location=$top/tls/ca.pem"
    if [ "$tls" = client ]; then echo ssl.client.auth=required; else echo ssl.client.auth=none; fi
}

# One partition for each internal topic and short sessions: a broker killed and started again serves within three seconds, not twelve.
properties() { # NODE
    local node voters= ours property more_properties
    for node in $(seq "$nodes"); do voters+=${voters:+,}$node@127.0.0.1:$(($(port_of "$node") + 1)); done
    ours=$(listeners "$1" | paste -sd,)
    cat <<X
process.roles=broker,controller
node.id=$1
controller.quorum.voters=$voters
listeners=$ours,CONTROLLER://127.0.0.1:$(($(port_of "$1") + 1))
advertised.listeners=$ours
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
log.dirs=$top/$1/data
offsets.topic.replication.factor=$nodes
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=$nodes
transaction.state.log.min.isr=$(((nodes + 1) / 2))
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
auto.leader.rebalance.enable=false
log.cleaner.dedupe.buffer.size=4194304
log.cleaner.threads=1
num.network.threads=2
num.io.threads=4
broker.session.timeout.ms=$([ "$nodes" = 1 ] && echo 1000 || echo 3000)
broker.heartbeat.interval.ms=300
X
    case $version in
    3.*) ;;
    *) printf '%s\n' "share.coordinator.state.topic.replication.factor=$nodes" share.coordinator.state.topic.min.isr=1 share.coordinator.state.topic.num.partitions=1 ;;
    esac
    [ -z "$sasl" ] || sasl_properties
    [ -z "$tls" ] || tls_properties
    read -ra more_properties <<<"$more"
    for property in "${more_properties[@]}"; do echo "$property"; done
}

load() { # DIR: what start wrote down
    top=$(cd "$1" 2>/dev/null && pwd) || die "there is no folder $1"
    [ -e "$top/settings" ] || die "no Kafka was started in $top"
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
    [ -n "${id:-}" ] || id=$(head -c 16 /dev/urandom | base64 | tr '+/' AB | cut -c 1-22)
    printf 'id=%q port=%q version=%q nodes=%q sasl=%q tls=%q more=%q\n' "$id" "$port" "$version" "$nodes" "$sasl" "$tls" "$more" >"$top/settings"
    chmod 600 "$top/settings"
    printf '%s\n' "log4j.rootLogger=${KAFKA_LOG:-WARN}, A" log4j.appender.A=org.apache.log4j.ConsoleAppender log4j.appender.A.target=System.err \
        log4j.appender.A.layout=org.apache.log4j.PatternLayout 'log4j.appender.A.layout.ConversionPattern=%d %p %c %m%n' >"$top/log4j.properties"
}

format() { # NODE
    local scram=() mechanism
    if [ -n "$sasl" ]; then
        for mechanism in SCRAM-SHA-256 SCRAM-SHA-512; do
            scram+=(--add-scram "$mechanism=[name=${sasl%%:*},password=${sasl#*:}]")
        done
    fi
    "${as_user[@]}" "${java[@]}" kafka.tools.StorageTool format -t "$id" -c "$top/$1/server.properties" "${scram[@]}" >"$top/$1/format.log" 2>&1 || {
        cat "$top/$1/format.log" >&2
        die "the storage of node $1 could not be formatted"
    }
}

run_node() { launch "$top/$1" "${java[@]}" -Dserver.dir="$top/$1" kafka.Kafka "$top/$1/server.properties"; }

wait_for_node() { wait_until_ready "$top/$1" 180 python3 "$servers_folder/kafka_rpc.py" "$(port_of "$1")" ready "$nodes" "$id"; }

start_node() { # NODE
    local first
    first=$(port_of "$1")
    mkdir -p "$top/$1"
    pid_of "$top/$1" >/dev/null && return 0
    ports_are_free $(seq "$first" $((first + 4))) || die "port $busy_port is in use by another process; node $1 takes $first to $((first + 4))"
    properties "$1" >"$top/$1/server.properties"
    give_to_user "$top/$1"
    chmod 600 "$top/$1/server.properties"
    [ -e "$top/$1/data/meta.properties" ] || format "$1"
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
    version=${3:-4.4.0} nodes=${KAFKA_NODES:-1} sasl=${KAFKA_SASL:-} tls=${KAFKA_TLS:-} more=${KAFKA_PROPS:-}
    port=$2
    [ ! -e "$top/settings" ] || . "$top/settings"
    [ "$port" = "$2" ] || ! pid_of "$top/1" >/dev/null || die "the server of $top runs on port $port; stop it first"
    port=$2
    [[ $port =~ ^[0-9]+$ ]] && [ "$port" -ge 1024 ] && [ "$port" -le 65500 ] || die "PORT is a number from 1024 to 65500"
    case $nodes in 1 | 3) ;; *) die "KAFKA_NODES is 1 or 3" ;; esac
    case $sasl in '' | ?*:?*) ;; *) die "KAFKA_SASL is user:password" ;; esac
    case $tls in '' | 1 | client) ;; *) die "KAFKA_TLS is 1 or client" ;; esac
    [ -z "${3:-}" ] || [ "$3" = "$version" ] || die "$top holds the data of Kafka $version; take another folder for $3"
    fetch "$version"
    reach_jars
    write_settings
    [ -z "$tls" ] || make_tls_files "$top"
    set_java
    since=$(now_ms)
    for node in $(seq "$nodes"); do start_node "$node"; done
    for node in $(seq "$nodes"); do wait_for_node "$node"; done
    echo "ready 127.0.0.1:$port kafka $version nodes=$nodes total=$(($(now_ms) - since))ms"
    addresses
}

addresses() {
    listeners 1 | sed 's|://| |'
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
    local first tries
    first=$(port_of "$1")
    for tries in $(seq 600); do
        ports_are_free "$first" $((first + 1)) && return 0
        sleep 0.05
    done
    die "port $busy_port is still in use $((tries / 20)) s after the end of node $1"
}

# All are told before one is waited for: a controller left alone cannot end cleanly.
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
    set_java
    pid_of "$top/$1" >/dev/null || run_node "$1"
    wait_for_node "$1"
    echo "node $1 ready after $(($(now_ms) - since))ms"
}

info() {
    local node pid lives=
    addresses
    for node in $(seq "$nodes"); do
        if pid=$(pid_of "$top/$node"); then
            lives=1
            echo "node $node process $pid $(memory_of "$pid")"
        else
            echo "node $node down"
        fi
    done
    [ -z "$lives" ] || rpc describe
}

command=${1:-}
shift || true
case $command:$# in
fetch:[01]) fetch "${1:-4.4.0}"; du -sh "$jars" ;;
start:[23]) start "$@" ;;
restart:2) load "$1"; restart "$2" ;;
stop:[12]) load "$1"; end_nodes TERM "${2:-}" ;;
kill9:[12]) load "$1"; end_nodes KILL "${2:-}" ;;
pause:[12]) load "$1"; signal_nodes STOP "${2:-}" ;;
resume:[12]) load "$1"; signal_nodes CONT "${2:-}" ;;
topic:[01] | topic:2) usage ;;
topic:*) load "$1"; rpc create "$2" "$3" "${4:-1}" "${@:5}" ;;
admin:[01]) usage ;;
admin:*) load "$1"; rpc "${@:2}" ;;
info:1) load "$1"; info ;;
*) usage ;;
esac
