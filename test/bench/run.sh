#!/usr/bin/env bash
# Rates and latency on Apache Kafka, exactly-once on, standard headers.
#
#   test/bench/run.sh [--runs N] [--events N] [--seconds N] [--warmup N]
#                     [drain] [latency]
#
# Everything shares this machine: server, publisher, broker, consumer.  The
# table says median and spread over the runs.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
"$MO_ROOT/test/lib/install.sh" kafka
. "$MO_ROOT/test/lib/env.sh"
user_dir "$MO_BUILD"
tree=$("$MO_ROOT/test/lib/build.sh" normal)
dir=$MO_BUILD/tmp/bench
rm -rf "$dir"
user_dir "$MO_BUILD/tmp"
user_dir "$dir"
cd "$tree"
as_user env MO_KAFKA_JARS="$MO_KAFKA_JARS" "$MO_PYTHON" test/bench/bench.py \
	--dir "$dir" --bindir "$("$MO_PG_CONFIG" --bindir)" "$@"
