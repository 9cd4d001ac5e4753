#!/usr/bin/env bash
# What the check costs the one who inserts.
#
#   test/bench/insert.sh [--runs N] [--rows N] [--seconds N] [--clients "1 8"]
#
# The same rows go into three tables with the same columns and primary key:
# plain, with a C trigger that does nothing, and an outbox (no publisher).
# Workloads: one INSERT of many rows and COPY (processor time of the backend),
# and pgbench with one-row transactions (time on the clock per transaction):
# pgbench-N with synchronous_commit = off, so that the disk does not hide the
# processor, sync-N with it on.  Runs are interleaved, and each begins with
# another table; the table says median and spread.  What is written must cost
# all three the same: a checkpoint comes before each measurement, and WAL
# segments are made in a run that does not count, and kept.  The second table
# is the same INSERT spread over ever more contracts, each of them compiled
# before.
set -euo pipefail
runs=5 rows=200000 seconds=4 clients="1 8"
while [ $# -gt 0 ]; do
	case $1 in
		--runs) runs=$2 ;;
		--rows) rows=$2 ;;
		--seconds) seconds=$2 ;;
		--clients) clients=$2 ;;
		*) echo "unknown option: $1" >&2; exit 2 ;;
	esac
	shift 2
done

here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib/env.sh"
if [ -z "${MO_BENCH_PG_CONFIG:-}" ]; then
	"$MO_ROOT/test/lib/install.sh"
	. "$MO_ROOT/test/lib/env.sh"
	"$MO_ROOT/test/lib/build.sh" normal > /dev/null
	MO_BENCH_PG_CONFIG=$MO_PG_CONFIG
fi
bin=$("$MO_BENCH_PG_CONFIG" --bindir)
user_dir "$MO_BUILD"
dir=$MO_BUILD/bench-insert
rm -rf "$dir"
user_dir "$dir"

cc -O2 -fPIC -shared -I"$("$MO_BENCH_PG_CONFIG" --includedir-server)" \
	-o "$dir/empty_trigger.so" "$here/empty_trigger.c"

as_user "$bin/initdb" -D "$dir/data" -A trust -E UTF8 --locale=C.UTF-8 \
	> "$dir/initdb.log"
cat >> "$dir/data/postgresql.conf" << CONF
listen_addresses = ''
unix_socket_directories = '$dir'
shared_buffers = 512MB
max_wal_size = 8GB
min_wal_size = 4GB
checkpoint_timeout = 1h
autovacuum = off
synchronous_commit = off
CONF
as_user "$bin/pg_ctl" -D "$dir/data" -l "$dir/server.log" -w start > /dev/null
trap 'as_user "$bin/pg_ctl" -D "$dir/data" -m immediate stop > /dev/null' EXIT

export PGHOST=$dir PGUSER=$MO_USER PGDATABASE=postgres
sql() { as_user "$bin/psql" -XAtq -v ON_ERROR_STOP=1 "$@"; }

# 330 bytes of JSON: 15 fields, two nested objects, one array, two formats, a
# pattern, two enumerations.
sql > /dev/null << 'SQL'
CREATE EXTENSION mesh_outbox;
SELECT mesh_outbox.create_domain('sales', owner => current_user, description => 'bench');
SELECT mesh_outbox.create_product('sales.orders', purpose => 'bench');
SELECT mesh_outbox.propose_contract('sales.orders', 'OrderPlaced', key => '/order_id', description => 'a customer placed an order', schema => '{
  "type": "object",
  "required": ["order_id", "customer", "placed_at", "currency", "lines"],
  "properties": {
    "order_id": {"type": "string", "format": "uuid"},
    "number": {"type": "integer", "minimum": 1},
    "customer": {"type": "object", "required": ["id", "email"],
      "properties": {"id": {"type": "string", "pattern": "^c-[0-9]{8}$"},
                     "email": {"type": "string", "maxLength": 120},
                     "segment": {"enum": ["retail", "business", "staff"]}}},
    "placed_at": {"type": "string", "format": "date-time"},
    "currency": {"enum": ["EUR", "USD", "GBP", "CHF"]},
    "total": {"type": "number", "minimum": 0},
    "gift": {"type": "boolean"},
    "ship_to": {"type": "object", "required": ["country"],
      "properties": {"country": {"type": "string", "minLength": 2, "maxLength": 2},
                     "zip": {"type": "string", "maxLength": 10}}},
    "lines": {"type": "array", "minItems": 1, "maxItems": 100, "items": {
      "type": "object", "required": ["sku", "qty"],
      "properties": {"sku": {"type": "string", "maxLength": 40},
                     "qty": {"type": "integer", "minimum": 1}}}}}}');
SELECT mesh_outbox.activate_contract('sales.orders', 'OrderPlaced', '1.0.0');
CREATE SCHEMA sales;
SET client_min_messages = warning;
SELECT mesh_outbox.create_outbox('sales.sample', product => 'sales.orders');
SQL
sql -v lib="$dir/empty_trigger" << 'SQL'
CREATE FUNCTION empty_trigger() RETURNS trigger LANGUAGE c AS :'lib';
CREATE FUNCTION payload(n int) RETURNS jsonb LANGUAGE sql IMMUTABLE RETURN
  jsonb_build_object('order_id', lpad(to_hex(n), 8, '0') || '-0000-7000-8000-000000000000',
    'number', n, 'currency', 'EUR', 'total', 59.85, 'gift', false,
    'placed_at', '2026-03-01T09:30:00.000Z',
    'customer', '{"id": "c-00001234", "email": "jane.doe@example.com", "segment": "retail"}'::jsonb,
    'ship_to', '{"country": "DE", "zip": "10115"}'::jsonb,
    'lines', '[{"sku": "AB-1234-XL", "qty": 2}, {"sku": "CD-9876-S", "qty": 1}]'::jsonb);
SQL
sql -v rows="$rows" << 'SQL'
INSERT INTO sales.sample (event_type, payload)
SELECT 'OrderPlaced', payload(n) FROM generate_series(1, :rows) n;
CREATE TABLE ready AS SELECT * FROM sales.sample;
VACUUM ANALYZE ready;
SQL
sql -c "COPY ready TO '$dir/rows.copy'"
for target in plain empty sales.outbox; do
	cat > "$dir/one_row.$target.sql" << SQL
INSERT INTO $target (event_type, payload) VALUES ('OrderPlaced', '$(sql -c 'SELECT payload(17)')');
SQL
done
chmod go+r "$dir"/one_row.*

# Fresh tables for each measurement: no bloat, no history.
fresh() {
	sql << SQL
SET client_min_messages = warning;
DROP TABLE IF EXISTS plain, empty;
SELECT format('SELECT mesh_outbox.drop_outbox(%L, lose_events => true)', c)
FROM to_regclass('sales.outbox') c WHERE c IS NOT NULL \gexec
CREATE TABLE plain (LIKE ready, PRIMARY KEY (event_id));
ALTER TABLE plain ALTER event_id SET DEFAULT gen_random_uuid(),
	ALTER event_time SET DEFAULT clock_timestamp(), ALTER contract_id SET DEFAULT 1,
	ALTER created_at SET DEFAULT clock_timestamp();
CREATE TABLE empty (LIKE plain INCLUDING ALL);
CREATE TRIGGER empty BEFORE INSERT OR UPDATE OR DELETE ON empty
	FOR EACH ROW EXECUTE FUNCTION empty_trigger();
SELECT mesh_outbox.create_outbox('sales.outbox', product => 'sales.orders');
SQL
}

# Microseconds of processor time per row that the backend needs for one
# statement; unlike the time on the clock it says the same on a busy machine.
ticks_per_second=$(getconf CLK_TCK)
statement() {
	sql << SQL | awk -v rows="$rows" -v hz="$ticks_per_second" \
		'{t[NR] = $1} END {printf "%.4f\n", (t[2] - t[1]) / hz * 1e6 / rows}'
SELECT pg_backend_pid() AS pid \gset
\setenv PID :pid
\! awk '{print \$14 + \$15}' /proc/\$PID/stat
$1;
\! awk '{print \$14 + \$15}' /proc/\$PID/stat
SQL
}

measure() {	# workload target
	local columns=event_type,payload
	sql -c CHECKPOINT
	case $1 in
		insert)
			# What the check stamps, the others are given.
			[ "$2" = sales.outbox ] || columns=*
			if [ "$columns" = "*" ]; then
				statement "INSERT INTO $2 SELECT * FROM ready"
			else
				statement "INSERT INTO $2 ($columns) SELECT $columns FROM ready"
			fi ;;
		copy) statement "COPY $2 FROM '$dir/rows.copy'" ;;
		pgbench-* | sync-*)
			PGOPTIONS="-c synchronous_commit=$([[ $1 = sync-* ]] && echo on || echo off)" \
				as_user "$bin/pgbench" -n -M prepared -c "${1#*-}" -j 2 \
				-T "$seconds" -f "$dir/one_row.$2.sql" 2>> "$dir/pgbench.log" |
				awk '/^tps/ {printf "%.4f\n", 1e6 / $3}' ;;
	esac
}

workloads="insert copy"
for c in $clients; do workloads+=" pgbench-$c sync-$c"; done
targets=(plain empty sales.outbox)
for workload in insert copy insert copy; do
	fresh > /dev/null
	for target in "${targets[@]}"; do
		measure "$workload" "$target" > /dev/null
	done
done
for ((run = 1; run <= runs; run++)); do
	targets=("${targets[@]:1}" "${targets[0]}")
	for workload in $workloads; do
		fresh > /dev/null
		for target in "${targets[@]}"; do
			measure "$workload" "$target" >> "$dir/$workload.${target#sales.}"
		done
	done
	echo "run $run of $runs done" >&2
done

# median, lowest and highest of a file's numbers
summary() {
	sort -n "$1" | awk '{v[NR] = $1} END {
		m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
		print m, v[1], v[NR]}'
}

echo "PostgreSQL $("$bin/postgres" -V | awk '{print $3}'), $(nproc) cores, $runs runs, $rows rows"
printf '%-12s %-26s %-26s %-26s %10s %8s\n' "us per event" "plain" \
	"empty C trigger" "outbox" "check" "x plain"
for workload in $workloads; do
	read -r p pl ph < <(summary "$dir/$workload.plain")
	read -r e el eh < <(summary "$dir/$workload.empty")
	read -r o ol oh < <(summary "$dir/$workload.outbox")
	awk -v w="$workload" -v p="$p" -v pl="$pl" -v ph="$ph" -v e="$e" \
		-v el="$el" -v eh="$eh" -v o="$o" -v ol="$ol" -v oh="$oh" 'BEGIN {
		printf "%-12s %-26s %-26s %-26s %+10.2f %8.2f\n", w,
			sprintf("%.2f (%.2f-%.2f)", p, pl, ph),
			sprintf("%.2f (%.2f-%.2f)", e, el, eh),
			sprintf("%.2f (%.2f-%.2f)", o, ol, oh), o - e, o / p}'
done

# The same contract under ever more names, behind propose_contract()'s back.
echo
printf '%-12s %s\n' contracts "us per event"
for n in 1 100 1000 10000; do
	fresh > /dev/null
	sql << SQL
CREATE TEMP TABLE c AS SELECT * FROM mesh_outbox.contract WHERE event_type = 'OrderPlaced';
SELECT format('INSERT INTO mesh_outbox.contract (%1\$s) SELECT %2\$s FROM c,'
  ' generate_series(1, $n) AS i ON CONFLICT DO NOTHING',
  string_agg(quote_ident(attname), ', '),
  string_agg(CASE attname WHEN 'event_type' THEN '''E''||i'
    WHEN 'contract_id' THEN '1000000 + i' ELSE quote_ident(attname) END, ', '))
FROM pg_attribute WHERE attrelid = 'mesh_outbox.contract'::regclass AND attnum > 0
  AND NOT attisdropped AND attgenerated = '' \gexec
SQL
	for ((run = 1; run <= runs; run++)); do
		sql << SQL | awk -v rows="$rows" -v hz="$ticks_per_second" \
			'{t[NR] = $1} END {printf "%.4f\n", (t[2] - t[1]) / hz * 1e6 / rows}' >> "$dir/growth.$n"
INSERT INTO sales.outbox (event_type, payload) SELECT 'E' || i, payload(i) FROM generate_series(1, $n) i;
SELECT pg_backend_pid() AS pid \gset
\setenv PID :pid
\! awk '{print \$14 + \$15}' /proc/\$PID/stat
INSERT INTO sales.outbox (event_type, payload)
SELECT 'E' || 1 + (row_number() OVER ()) % $n, payload FROM ready;
\! awk '{print \$14 + \$15}' /proc/\$PID/stat
SQL
	done
	read -r m l h < <(summary "$dir/growth.$n")
	printf '%-12s %s (%s-%s)\n' "$n" "$m" "$l" "$h"
done
