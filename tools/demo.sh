#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# demo.sh [ROWS]: runs examples/users/users.sql afresh: ROWS users as fast as it can, or without ROWS 2,000 a second until Ctrl-C.
# On a terminal leat gets a process group of its own, so that Ctrl-C ends the pipeline and neither this script nor make.
set -uo pipefail
cd "$(dirname "$0")/.."
leat=${LEAT:-build/leat}
file=examples/users/users.sql
data=examples/users/leat-data
rows=${1:-}
case $rows in
    *[!0-9]* | 0*) echo "make demo ROWS=n: n is a number, not '$rows'" >&2; exit 2 ;;
esac
if [ -e "$data" ]; then
    if [ ! -e "$data/pipeline" ] && [ -n "$(ls -A "$data")" ]; then
        echo "demo: $data is not a data folder of leat; remove it first" >&2
        exit 1
    fi
    rm -rf "$data" || exit 1
    echo "demo: starting afresh; what the last demo left in $data is removed"
else
    echo "demo: starting afresh in $data"
fi
arguments=(run "$file" --data "$data")
if [ -n "$rows" ]; then
    arguments+=(--available-now --set "rows=$rows" --set rate=0)
    echo "demo: $file, $rows users, as fast as it can"
else
    echo "demo: $file, 2,000 users a second until Ctrl-C"
fi
if [ -t 0 ]; then set -m; else trap : INT TERM; fi
"$leat" "${arguments[@]}"
code=$?
set +m
[ $code = 0 ] || exit $code
cat <<END

The data is in $data/leat.db. Next:

  sqlite3 $data/leat.db "select nationality, users from users_by_nationality order by 2 desc limit 3"
  $leat sql --data $data -q "SELECT domain_email, users FROM top_email_domains ORDER BY users DESC"
  $leat sql --data $data -q "SHOW TABLES"

The pipeline is $file: change it and run it with  $leat run $file
END
