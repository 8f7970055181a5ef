#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# demo-full.sh [ROWS]: the whole pipeline on real servers without containers: producer.sql → Kafka → users-full.sql → Cassandra, MongoDB, catalog.
#
# Fetches the servers once (cache/servers), starts them on free ports of loopback in FOLDER, always afresh, and stops them in the end, however it
# ends. With ROWS both pipelines run until everything is there; without, until Ctrl-C. Then counts what stands in each store, by the stores' own
# protocols. Exit status: 0 the counts are equal, 1 they are not or something failed, 130 interrupted before there was anything to count.
#
# Environment: LEAT (build/leat), DEMO_FOLDER (leat-demo-full-UID in the folder for temporary files), USERS_PER_SECOND (2000; without ROWS).
set -uo pipefail
cd "$(dirname "$0")/.."
root=$PWD
leat=${LEAT:-build/leat}
case $leat in /*) ;; *) leat=$root/$leat ;; esac
folder=${DEMO_FOLDER:-${TMPDIR:-/tmp}/leat-demo-full-$(id -u)}
rows=${1:-}
rate=${USERS_PER_SECOND:-2000}
servers=$root/test/servers
began=$SECONDS
running=() producer='' pipeline='' interrupted='' ticker=''

say() { echo "demo-full: $*"; }
fail() {
    echo "demo-full: $*" >&2
    exit 1
}

case $rows in *[!0-9]* | 0*) echo "make demo-full ROWS=n: n is a number, not '$rows'" >&2; exit 2 ;; esac
case $rate in *[!0-9]* | 0* | '') echo "USERS_PER_SECOND is a number, not '$rate'" >&2; exit 2 ;; esac
[ -x "$leat" ] || fail "there is no $leat: make"

# ---- what is started is ended ----

end_process() { # PID: asks, after fifteen seconds insists
    local tries=0
    kill -TERM "$1" 2>/dev/null || return 0
    while kill -0 "$1" 2>/dev/null; do
        sleep 0.1
        tries=$((tries + 1))
        [ $tries != 150 ] || kill -KILL "$1" 2>/dev/null
    done
}

stop_servers() { # the ones named
    local name
    for name in "$@"; do
        [ -e "$folder/$name/settings" ] || continue
        "$servers/$name.sh" stop "$folder/$name" >>"$folder/servers.log" 2>&1 || say "$name did not stop; $folder/servers.log says why" >&2
    done
}

finish() {
    local code=$?
    trap '' INT TERM
    [ -z "$ticker" ] || kill "$ticker" 2>/dev/null
    [ -z "$producer" ] || end_process "$producer"
    [ -z "$pipeline" ] || end_process "$pipeline"
    if [ ${#running[@]} -gt 0 ]; then
        say "stopping ${running[*]}"
        stop_servers "${running[@]}"
    fi
    exit $code
}
trap finish EXIT
trap 'interrupted=1; [ -z "$producer$pipeline" ] && exit 130' INT
trap 'exit 143' TERM

# ---- servers ----

need() { # COMMAND:PACKAGE...
    local pair packages=()
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || packages+=("${pair#*:}")
    done
    [ ${#packages[@]} = 0 ] || tools/deps.sh "${packages[@]}" || fail "these packages are needed and could not be installed: ${packages[*]}"
}

# Says now and then that a long step still goes on: on a terminal in one line, else a line every ten seconds.
tick() { # TEXT
    local since=$SECONDS pause=1
    [ -t 1 ] || pause=10
    while sleep $pause >/dev/null 2>&1; do
        if [ -t 1 ]; then printf '\rdemo-full: %s … %d s ' "$1" $((SECONDS - since)); else say "$1 … $((SECONDS - since)) s"; fi
    done
}

step() { # TEXT COMMAND...: output goes to servers.log; what it needs to say is shown where it fails
    local text=$1 since=$SECONDS code=0
    shift
    tick "$text" &
    ticker=$!
    "$@" >"$folder/step.log" 2>&1 </dev/null || code=$?
    kill "$ticker" 2>/dev/null
    wait "$ticker" 2>/dev/null
    ticker=''
    [ ! -t 1 ] || printf '\r\033[K'
    cat "$folder/step.log" >>"$folder/servers.log"
    if [ $code != 0 ]; then
        [ -z "$interrupted" ] || exit 130
        tail -n 20 "$folder/step.log" >&2
        echo "demo-full: $text: failed" >&2
        exit 1
    fi
    say "$text: $((SECONDS - since)) s"
}

is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The server's usual port where nothing listens there, else any that is free: sets port.
choose_port() { # USUAL COUNT
    local candidate tries=0 offset
    candidate=$1
    while :; do
        for ((offset = 0; offset < $2; offset++)); do is_free $((candidate + offset)) || break; done
        [ $offset != "$2" ] || break
        tries=$((tries + 1))
        [ $tries -lt 100 ] || fail "no $2 free ports in a row were found"
        candidate=$((20000 + RANDOM % 9900))
    done
    port=$candidate
}

start_server() { # NAME LABEL USUAL_PORT COUNT: sets port
    choose_port "$3" "$4"
    running+=("$1")
    step "starting $2 on 127.0.0.1:$port" "$servers/$1.sh" start "$folder/$1" "$port"
}

fetch_server() { # NAME LABEL MB VERSION
    local text="$2: in the cache"
    [ -e "${SERVERS_CACHE:-cache/servers}/$4/.complete" ] || text="fetching $2, about $3 MB, once"
    step "$text" "$servers/$1.sh" fetch
}

# ---- a folder of our own ----

prepare_folder() {
    local entry
    if [ -L "$folder" ] || { [ -e "$folder" ] && { [ ! -d "$folder" ] || [ ! -O "$folder" ]; }; }; then
        fail "$folder is not a folder of yours; set DEMO_FOLDER"
    fi
    if [ -e "$folder" ]; then
        [ -e "$folder/.leat-demo-full" ] || [ -z "$(ls -A "$folder")" ] ||
            fail "$folder is no folder of this demo; remove it first, or set DEMO_FOLDER"
        say "starting afresh; what the last demo left in $folder is removed"
        for entry in kafka cassandra mongo; do
            [ ! -e "$folder/$entry/settings" ] || "$servers/$entry.sh" kill9 "$folder/$entry" >/dev/null 2>&1
        done
        rm -rf "$folder" || exit 1
    else
        say "starting afresh in $folder"
    fi
    mkdir -p "$folder" && chmod 755 "$folder" && : >"$folder/.leat-demo-full" || exit 1
}

# ---- pipelines ----

run_producer() { # leat's arguments: in the background, out of the reach of Ctrl-C
    setsid "$leat" run examples/users/producer.sql --data "$folder/producer" --quiet --set "brokers=$brokers" "$@" \
        >"$folder/producer.log" 2>&1 </dev/null &
    producer=$!
}

run_pipeline() { # leat's arguments: likewise
    setsid "$leat" run examples/users/users-full.sql --data "$folder/users" "${addresses[@]}" "$@" </dev/null &
    pipeline=$!
}

lives() { [ -n "$1" ] && kill -0 "$1" 2>/dev/null; }

producer_failed() {
    tail -n 20 "$folder/producer.log" >&2
    fail "producer.sql ended with $1"
}

wait_for_pipeline() {
    local code=0
    wait "$pipeline" || code=$?
    [ -z "$interrupted" ] || exit 130
    pipeline=''
    [ $code = 0 ] || fail "users-full.sql ended with $code"
}

produce_rows() {
    local since=$SECONDS code=0
    run_producer --available-now --set "rows=$rows" --set rate=0
    wait "$producer" || code=$?
    [ -z "$interrupted" ] || exit 130
    producer=''
    [ $code = 0 ] || producer_failed $code
    say "producer.sql: $rows users read, into Kafka without their secrets: $((SECONDS - since)) s"
    run_pipeline --available-now
    wait_for_pipeline
}

# Ctrl-C ends the producer; what it has sent is still brought everywhere, so that there is something to compare.
follow() {
    local code
    say "producer.sql makes $rate users a second, users-full.sql follows, until Ctrl-C"
    run_producer --set "rate=$rate"
    run_pipeline
    while [ -z "$interrupted" ]; do
        code=0
        wait -n "$pipeline" "$producer" || code=$?
        [ -z "$interrupted" ] || break
        lives "$producer" || producer_failed $code
        lives "$pipeline" || fail "users-full.sql ended with $code"
    done
    interrupted=''
    trap 'exit 130' INT
    echo
    say "stopping; what is in the topic is brought to its end (Ctrl-C again: at once)"
    end_process "$producer"
    producer=''
    end_process "$pipeline"
    run_pipeline --available-now --quiet
    wait_for_pipeline
}

# ---- counts ----

catalog() { sqlite3 -readonly "$1/leat.db" "$2" || fail "$1/leat.db cannot be read"; } # FOLDER QUERY

read_pair() { # sets first and second from what look.py prints
    local answer
    answer=$(python3 test/pipeline/look.py "$@") || fail "the rows of $1 cannot be counted"
    read -r first second <<<"$answer"
}

show() { printf '  %-44s %12s   %s\n' "$@"; }

count() {
    local kafka rejected cassandra mongo total dead first second same
    kafka=$("$leat" kafka consume users -b "$brokers" --timeout '60 s' 2>>"$folder/servers.log" | wc -l) ||
        fail "the messages of Kafka cannot be counted"
    rejected=$(catalog "$folder/producer" 'select count(*) from leat_dead') || exit 1
    total=$(catalog "$folder/users" 'select coalesce(sum(users), 0) from users_by_nationality') || exit 1
    dead=$(catalog "$folder/users" 'select count(*) from leat_dead') || exit 1
    say "what stands where"
    show "Kafka, topic users" "$kafka" "messages (and $rejected kept back by the producer: no users)"
    read_pair cassandra "$cassandra_port" user user_informations
    cassandra=$first same=$((first == second))
    show "Cassandra, user.user_informations" "$cassandra" "rows, $second different ids"
    read_pair mongodb "$mongo_port" user user_informations
    mongo=$first same=$((same && first == second))
    show "MongoDB, user.user_informations" "$mongo" "documents, $second different ids"
    show "catalog, sum over users_by_nationality" "$total" "users"
    show "catalog, leat_dead" "$dead" "messages that are no users"
    if [ "$cassandra" = "$mongo" ] && [ "$mongo" = "$total" ] && [ $((total + dead)) = "$kafka" ] && [ "$same" = 1 ] && [ "$kafka" -gt 0 ]; then
        say "equal: three stores, $total users each, none missing, none twice ($((SECONDS - began)) s in all)"
    else
        fail "NOT EQUAL"
    fi
    if [ -n "$rows" ] && [ $((kafka + rejected)) != "$rows" ]; then fail "NOT EQUAL: $kafka messages and $rejected kept back are not $rows"; fi
}

next() {
    cat <<END

The servers are stopped; their data stays in $folder until the next make demo-full. Next:

  sqlite3 $folder/users/leat.db "select * from users_by_domain order by users desc limit 3"
  $leat sql --data $folder/users -q "SELECT * FROM users_by_age ORDER BY users DESC LIMIT 3"

  test/servers/cassandra.sh start $folder/cassandra $cassandra_port
  $leat sql -q "CREATE TABLE c USING cassandra
    OPTIONS (host '127.0.0.1', port '$cassandra_port', keyspace 'user', 'table' 'user_informations'); SELECT * FROM c LIMIT 3"
  test/servers/cassandra.sh stop $folder/cassandra

  test/servers/mongo.sh start $folder/mongo $mongo_port
  $leat sql -q "CREATE TABLE m USING mongodb
    OPTIONS ('connection.uri' '$mongodb', database 'user', collection 'user_informations'); SELECT * FROM m LIMIT 3"
  test/servers/mongo.sh stop $folder/mongo

  test/servers/kafka.sh start $folder/kafka $kafka_port
  $leat kafka consume users -b $brokers --count 2
  test/servers/kafka.sh stop $folder/kafka

The pipeline is examples/users/users-full.sql; with Docker: examples/users/compose.yaml
END
}

need java:openjdk-17-jre-headless mvn:maven npm:npm python3:python3 sqlite3:sqlite3 setsid:util-linux
prepare_folder
fetch_server kafka "Kafka 4.4.0" 43 kafka-4.4.0
fetch_server cassandra "Cassandra 5.0.9" 62 cassandra-5.0.9
fetch_server mongo "MongoDB 8.2.0" 215 mongod-8.2.0
start_server kafka Kafka 9092 5
kafka_port=$port brokers=127.0.0.1:$port
start_server cassandra Cassandra 9042 2
cassandra_port=$port
start_server mongo MongoDB 27017 1
mongo_port=$port mongodb="mongodb://127.0.0.1:$port/?replicaSet=rs0"
addresses=(--set "brokers=$brokers" --set cassandra=127.0.0.1 --set "cassandra_port=$cassandra_port" --set "mongodb=$mongodb")
step "topic users, 2 partitions" "$leat" kafka topics -b "$brokers" --create users --partitions 2
if [ -n "$rows" ]; then produce_rows; else follow; fi
count
stop_servers "${running[@]}"
running=()
next
