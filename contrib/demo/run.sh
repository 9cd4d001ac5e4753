#!/usr/bin/env bash
# From INSERT to a Kafka consumer on a throw-away server.
#
#   contrib/demo/run.sh             on the broker inside librdkafka; it keeps nothing
#   contrib/demo/run.sh --kafka     on Apache Kafka (a JRE and Maven, fetched once)
#   contrib/demo/run.sh --keep      leave all running, and say how to go on
#   contrib/demo/run.sh --stop      stop what --keep left
#
# Needs a Debian 12 or 13 machine and, to install what is missing, root. The
# host's own PostgreSQL is not touched: everything is in build/ of the checkout
# (or below /var/tmp, where the server's user cannot enter the checkout).
set -euo pipefail
cd "$(dirname "$0")/../.."
here=contrib/demo

usage() { sed -n '4,7s/^#   //p' "$here/run.sh"; }

kafka='' keep='' stop=''
for option in "$@"; do
	case $option in
		--kafka) kafka=kafka ;;
		--keep) keep=yes ;;
		--stop) stop=yes ;;
		*) usage >&2; exit 2 ;;
	esac
done

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

# 1. What is needed.
if [ -z "$stop" ]; then
	test/lib/install.sh "${kafka:-build}" kcat
fi
. test/lib/env.sh
demo=$MO_BUILD/demo
bin=$(dirname "$MO_PG_CONFIG")
socket=/tmp/mesh_outbox_demo.$(id -u)

# The server's user may not be able to enter the folder we are in.
server() { (cd "$demo" && as_user "$@"); }

stop_all() {
	if [ -f "$demo/data/postmaster.pid" ]; then
		server "$bin/pg_ctl" -D "$demo/data" -m fast -w stop >/dev/null || true
	fi
	if [ -f "$demo/kafka/cluster.json" ]; then
		"$MO_PYTHON" test/lib/kafka.py stop "$demo/kafka" || true
	fi
	rm -rf "$demo" "$socket"
}

if [ -n "$stop" ]; then
	stop_all
	echo "stopped"
	exit
fi
if [ -f "$demo/data/postmaster.pid" ]; then
	echo "a demo is running already; stop it with: $here/run.sh --stop" >&2
	exit 1
fi
rm -rf "$demo" "$socket"

# 2. The extension, in a private copy of the installed PostgreSQL.
echo "building ..."
test/lib/build.sh normal >/dev/null

# 3. A server, and a broker if one was asked for.
trap stop_all EXIT
user_dir "$demo"
user_dir "$socket"
chmod 755 "$socket"
brokers=embedded
if [ -n "$kafka" ]; then
	echo "starting Apache Kafka ..."
	brokers=$("$MO_PYTHON" test/lib/kafka.py start "$demo/kafka" 1)
fi
echo "starting PostgreSQL $MO_PG ..."
server "$bin/initdb" -D "$demo/data" -U postgres -A trust -E UTF8 --locale=C \
	--no-sync >/dev/null
as_user tee -a "$demo/data/postgresql.conf" >/dev/null <<CONF
shared_preload_libraries = 'mesh_outbox'
wal_level = logical
listen_addresses = ''
unix_socket_directories = '$socket'
fsync = off		# a demo; never in earnest
CONF
server "$bin/pg_ctl" -D "$demo/data" -l "$demo/log" -w start >/dev/null ||
	{ cat "$demo/log" >&2; exit 1; }
psql=("$bin/psql" -X -q -h "$socket" -U postgres -d postgres -v "brokers=$brokers")

# Runs a file as a reader would type it: statements and answers; functions
# that return nothing are silent.
show() {
	"${psql[@]}" -a -P null=- -P footer=off -v SHOW_CONTEXT=never "${@:2}" -f "$here/$1" 2>&1 |
		sed 's/^psql:[^ ]* //' | sed -zE 's/ [a-z_]+ *\n-+\n *\n\n//g'
}

published() {
	[ "$("${psql[@]}" -Atc "SELECT mesh_outbox.wait_published(timeout => '60 s')")" = t ] || {
		"${psql[@]}" -x -c 'TABLE mesh_outbox.publishers' >&2
		tail -20 "$demo/log" >&2
		exit 1
	}
}

say "1. A domain, a data product, a contract, an outbox"
show 1-create.sql -P tuples_only=on -v ON_ERROR_STOP=1 | grep -v '^ *$'
published

say "2. Events that keep the contract"
show 2-good.sql -v ON_ERROR_STOP=1

say "3. Events that break it"
show 3-bad.sql

published
address=$("${psql[@]}" -Atc 'SELECT brokers FROM mesh_outbox.publishers')
consume=(kcat -C -q -b "$address" -X isolation.level=read_committed)
say "4. What a consumer of the topic sales.orders sees"
"${consume[@]}" -t sales.orders -e -f 'partition %p, offset %o\n  key    %k\n  %h\n  value  %s\n\n' |
	sed '/^  [a-z_-]*=/s/,\([a-z_-]*=\)/\n  \1/g'

# A partition at a glance: type and value of its events.
read_partition() {
	printf '\ntopic %s, partition %s\n' "$1" "$2"
	"${consume[@]}" -t "$1" -p "$2" -e -f '%h %s\n' | sed -E 's/^.*ce_type=([^,]*),[^ ]* /  \1  /'
}

say "5. A field more: nobody is broken, and everybody knows before"
show 4-compatible.sql -v ON_ERROR_STOP=1
published

say "6. An integer becomes a uuid: refused, then done so that nobody loses an event"
uuid_schema=$(cat <<'JSON'
{
    "type": "object",
    "properties": {
        "order_id":      {"type": "string", "minLength": 1},
        "user_id":       {"type": "string", "format": "uuid"},
        "status":        {"enum": ["new", "gift"]},
        "total":         {"type": "number", "minimum": 0},
        "discount_code": {"type": "string", "maxLength": 20}
    },
    "required": ["order_id", "user_id", "status", "total"]
}
JSON
)
show 5-breaking.sql -v "uuid_schema=$uuid_schema"
published

say "7. What came of it in the topics"
read_partition sales.orders 2
read_partition sales.orders.v2 2
read_partition mesh_outbox.governance 0 | awk '/^  mesh_outbox/ {
	told = "  " $1
	split("object action version kind consumer reason", names)
	for (i = 1; i in names; i++)
		if (match($0, "\"" names[i] "\": \"[^\"]*\""))
			told = told "  " substr($0, RSTART, RLENGTH)
	print told; next
} { print }'

say "8. How the publisher is"
# The ledger is written off the latency path, up to a second later.
for _ in $(seq 100); do
	[ "$("${psql[@]}" -Atc 'SELECT count(*) FROM mesh_outbox.batches')" = 0 ] || break
	sleep 0.05
done
show 6-status.sql -x

if [ -z "$kafka" ]; then
	echo "The broker was librdkafka's in-process one. It lives in the publisher, keeps nothing, and"
	echo "proves nothing about exactly-once; contrib/demo/run.sh --kafka uses Apache Kafka."
fi
if [ -z "$keep" ]; then
	echo
	echo "All of it ends now; $here/run.sh --keep leaves it running, to play with."
else
	trap - EXIT
	say "Left running"
	echo "  SQL        $bin/psql -h $socket -U postgres postgres"
	echo "  consumer   ${consume[*]}"
	echo "  log        tail -f $demo/log"
	echo "  stop       $here/run.sh --stop"
fi
