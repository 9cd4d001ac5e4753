#!/usr/bin/env bash
# The producer alone, against the embedded broker and Apache Kafka.
#
#   test/producer/run.sh [TEST ...]      e.g. Kafka.test_too_large
#
# Ends with "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/../.."
test/lib/install.sh kafka || { echo "0 passed, 1 failed"; exit 1; }
. test/lib/env.sh
tree=$MO_BUILD/producer-$MO_PG
log=$MO_BUILD/log/producer-test.log
export MO_TMP=$MO_BUILD/tmp-producer
rm -rf "$tree"
mkdir -p "$tree/test" "$MO_BUILD/log"
user_dir "$MO_BUILD"
user_dir "$MO_TMP"
test/lib/private_pg.sh "$MO_PGPREFIX" "$MO_PG" > /dev/null

# A copy, because its object files must not be taken for the extension's.
cp -r src "$tree/src"
cp -r test/producer test/lib "$tree/test/"
find "$tree" -name '*.o' -delete
if ! make -C "$tree/test/producer" PG_CONFIG="$MO_PG_CONFIG" > "$log" 2>&1; then
	tail -30 "$log"
	echo "0 passed, 1 failed"
	exit 1
fi
chmod -R go+rX "$tree"

# What runs in the lanes' threads may call libc, pthread and librdkafka;
# of PostgreSQL only two functions that are pure.
passed=0 failed=0
for part in lane admin embedded socket; do
	foreign=$(nm -u "$tree/test/producer/producer_$part.o" | awk '{print $2}' |
		grep -vE '^(rd_kafka_|pthread_|mo_lane_|mo_admin_|mo_embedded_|mo_socket_)' |
		grep -vE '^(socket|shutdown|close|pg_snprintf|strlcpy|strdup|strlen|strcmp|(__isoc23_)?strtoll|memcpy|calloc|free|write|clock_gettime|__errno_location|__stack_chk_fail)(@.*)?$')
	if [ -n "$foreign" ]; then
		echo "producer_$part.c runs in threads and calls:" $foreign
		failed=$((failed + 1))
	else
		passed=$((passed + 1))
	fi
done

cd "$MO_TMP"
status=0
out=$(as_user env MO_BINDIR="$("$MO_PG_CONFIG" --bindir)" MO_TMP="$MO_TMP" \
	MO_MODULE="$tree/test/producer/mesh_outbox_producer_test.so" \
	"$MO_PYTHON" -W ignore::ResourceWarning \
	"$tree/test/producer/test_producer.py" -v "$@" 2>&1) || status=$?
echo "$out"
ran=$(sed -n 's/^Ran \([0-9]*\) test.*/\1/p' <<< "$out")
bad=$(grep -cE '^(FAIL|ERROR): ' <<< "$out")
[ $status = 0 ] || [ "$bad" != 0 ] || bad=1
[ "$bad" -le "${ran:-0}" ] || ran=$bad
echo "$((passed + ${ran:-0} - bad)) passed, $((failed + bad)) failed"
[ $((failed + bad)) = 0 ] && [ "${ran:-0}" != 0 ]
