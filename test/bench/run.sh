#!/usr/bin/env bash
# Rates, latency, memory and growth on Apache Kafka, exactly-once on, beside
# what else could be used, interleaved on this machine.
#
#   test/bench/run.sh [all | drain latency memory growth insert ...]
#                     [--with-debezium] [--runs N] [--events N] [...]
#
# --help lists the rest.  Tables go to the terminal, and with plots (SVG) and
# every single run (CSV) to $MO_BUILD/bench (or --out DIR).
#
# Without --with-debezium nothing but Kafka is fetched.  Servers run with the
# librdkafka that the Python client brings along, unless MO_RDKAFKA names a
# library; the system's own is a contender beside it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib/env.sh"
"$MO_ROOT/test/lib/install.sh" kafka
. "$MO_ROOT/test/lib/env.sh"
user_dir "$MO_BUILD"

fetch_debezium() {
	local pom=$here/debezium/pom.xml version
	version=$(sed -n 's|.*<debezium.version>\(.*\)</.*|\1|p' "$pom")
	export MO_DEBEZIUM_JARS=$MO_CACHE/debezium-$version
	[ ! -f "$MO_DEBEZIUM_JARS/.complete" ] || return 0
	echo "fetching Debezium $version" >&2
	mkdir -p "$MO_DEBEZIUM_JARS"
	mvn -B -q -Dstyle.color=never -f "$pom" dependency:copy-dependencies \
		-DoutputDirectory="$MO_DEBEZIUM_JARS" >&2
	touch "$MO_DEBEZIUM_JARS/.complete"
	chmod -R go+rX "$MO_DEBEZIUM_JARS"
}
for option in "$@"; do
	[ "$option" != --with-debezium ] || fetch_debezium
done

tree=$("$MO_ROOT/test/lib/build.sh" normal)
dir=$MO_BUILD/tmp/bench
# The broker of a run that was ended by force.
[ ! -f "$dir/kafka/cluster.json" ] ||
	"$MO_PYTHON" "$MO_ROOT/test/lib/kafka.py" stop "$dir/kafka"
rm -rf "$dir"
user_dir "$MO_BUILD/tmp"
user_dir "$dir"
user_dir "$MO_BUILD/bench"
cc -O2 -Wall -Wextra -o "$dir/stage" "$here/stage.c" $(pkg-config --cflags --libs rdkafka)

# A folder in which the library has the name that programs ask for.
rdkafka=${MO_RDKAFKA:-$(ls "$MO_CACHE"/venv/lib/python3*/site-packages/confluent_kafka.libs/librdkafka-*.so.1)}
user_dir "$dir/rdkafka"
ln -s "$rdkafka" "$dir/rdkafka/librdkafka.so.1"

# What kafka-server-start.sh and kafka-run-class.sh would set.
jvm="-server -Xms1g -Xmx1g -XX:+UseG1GC -XX:MaxGCPauseMillis=20
	-XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent"

cd "$tree"
as_user env MO_KAFKA_JARS="$MO_KAFKA_JARS" MO_DEBEZIUM_JARS="${MO_DEBEZIUM_JARS:-}" \
	MO_KAFKA_JVM="${MO_KAFKA_JVM:-$jvm}" MO_KAFKA="$MO_KAFKA" \
	"$MO_PYTHON" test/bench/bench.py --dir "$dir" \
	--bindir "$("$MO_PG_CONFIG" --bindir)" --out "$MO_BUILD/bench" "$@"
