#!/usr/bin/env bash
# What a publisher costs that has nothing to publish: beside a pgoutput
# walsender while an unrelated table is written to, and at rest; see foreign.py.
#
#   test/bench/foreign.sh [--runs N] [--seconds N] [--rate ROWS] [traffic rest memory ...]
#
# No Kafka is needed: the broker is librdkafka's own, in the publisher's
# process, and its threads are not counted.
set -euo pipefail
. "$(dirname "$0")/../lib/env.sh"
"$MO_ROOT/test/lib/install.sh" client
. "$MO_ROOT/test/lib/env.sh"
user_dir "$MO_BUILD"
tree=$("$MO_ROOT/test/lib/build.sh" normal)
dir=$MO_BUILD/tmp/bench_foreign
rm -rf "$dir"
user_dir "$MO_BUILD/tmp"
user_dir "$dir"
cd "$tree"
as_user "$MO_PYTHON" test/bench/foreign.py --dir "$dir" \
	--bindir "$("$MO_PG_CONFIG" --bindir)" "$@"
