#!/usr/bin/env bash
# Chaos on real Kafka: faults while producers insert, then a proof that every
# committed event arrived exactly once, whole and in order.
#
#   test/chaos.sh [--rounds N] [--seed S] [--keep]
#
# The seed reproduces the plan.  --keep leaves data and logs for a look.
set -euo pipefail
. "$(dirname "$0")/lib/env.sh"
if [ -z "${MO_CHAOS_TREE:-}" ]; then
	"$MO_ROOT/test/lib/install.sh" kafka
	. "$MO_ROOT/test/lib/env.sh"
	user_dir "$MO_BUILD"
	MO_CHAOS_TREE=$("$MO_ROOT/test/lib/build.sh" fault)
fi
dir=$MO_BUILD/tmp/chaos
rm -rf "$dir"
user_dir "$MO_BUILD/tmp"
user_dir "$dir"
cd "$MO_CHAOS_TREE"
as_user env MO_KAFKA_JARS="$MO_KAFKA_JARS" "$MO_PYTHON" test/chaos/run.py \
	--dir "$dir" --tree "$MO_CHAOS_TREE" \
	--bindir "$("$MO_PG_CONFIG_FAULT" --bindir)" "$@"
