#!/bin/sh
# SPDX-License-Identifier: MIT
# A test suite in the shell that cuts its database in the middle of a transaction. PGHOST and PGPORT say where that is.
#
#     pipeguard run --control /tmp/page -- sh postgres.sh
set -eu

PIPEGUARD=${PIPEGUARD:-pipeguard}
export PGDATABASE="${PGDATABASE:-postgres}" PGSSLMODE=disable PGGSSENCMODE=disable

# The page that this very shell runs with.
ctl() { "$PIPEGUARD" ctl "$PIPEGUARD_CONTROL" "$@"; }

sql() { psql -qXtA -v ON_ERROR_STOP=1 "$@"; }

# What is tested: it moves money from a to b, all or nothing.
statements() {
	cat <<-SQL
		BEGIN;
		UPDATE account SET balance = balance - $1 WHERE name = 'a';
		UPDATE account SET balance = balance + $1 WHERE name = 'b';
		INSERT INTO done VALUES ('$2');
	SQL
}
move() { { statements "$@"; echo 'COMMIT;'; } | sql; }

# An answer that never came says nothing of what became of the transaction: tried again only if it was not done.
recover() { [ "$(sql -c "SELECT count(*) FROM done WHERE id = '$2'")" = 1 ] || move "$@"; }

begin() {
	ctl clear
	sql -c "DROP TABLE IF EXISTS account, done" -c "CREATE TABLE done (id text PRIMARY KEY)" \
		-c "CREATE TABLE account (name text PRIMARY KEY, balance int)" \
		-c "INSERT INTO account VALUES ('a', 100), ('b', 0)" 2>/dev/null
}

# is WHAT WANTED GOT
is() {
	[ "$2" = "$3" ] || { echo "not ok: $1: wanted $2, got $3"; exit 1; }
	echo "ok: $1"
}

balances() { sql -c "SELECT balance FROM account ORDER BY name" | xargs; }

# psql sends its start, then each statement. How often it reads is not known before: all but COMMIT tells.
second_update="%out:comm=psql:port=$PGPORT:when=4:reset"
begin
ctl rules "read=%in:comm=psql:port=$PGPORT:delay=1us"
statements 30 none | sql
answer_to_commit="%in:comm=psql:port=$PGPORT:when=$(($(ctl fired read) + 1)):reset"

begin
ctl rules "cut=$second_update"
move 30 first && is "cut before COMMIT: psql fails" "a failure" "success"
is "cut before COMMIT: the rule fired" 1 "$(ctl fired cut)"
ctl clear
is "cut before COMMIT: nothing has changed" "100 0" "$(balances)"

begin
ctl rules "cut=$answer_to_commit"
move 30 second && is "the answer to COMMIT is lost: psql fails" "a failure" "success"
is "the answer to COMMIT is lost: the rule fired" 1 "$(ctl fired cut)"
ctl clear
is "the answer to COMMIT is lost: it is done all the same" "70 30" "$(balances)"

for rule in "$second_update" "$answer_to_commit"; do
	begin
	ctl rules "cut=$rule"
	move 30 third || { ctl clear; recover 30 third; }
	is "recovered from $rule" "70 30" "$(balances)"
done
