#!/usr/bin/env bash
# Are events lost when foreign changes are kept out of the reorder buffer?
# See differential.py.
#
#   test/foreign/run.sh [seconds] [seed] [round]
#
# 45 seconds of random rounds and seed 1 unless told; a round repeats that one
# alone.
set -euo pipefail
cd "$(dirname "$0")/../.."
. test/lib/env.sh
test/lib/install.sh client
. test/lib/env.sh
user_dir "$MO_BUILD"
tree=$(test/lib/build.sh fault)
dir=$MO_BUILD/tmp/foreign
rm -rf "$dir"
user_dir "$MO_BUILD/tmp"
user_dir "$dir"
cd "$tree"
as_user "$MO_PYTHON" test/foreign/differential.py --dir "$dir" \
	--bindir "$("$MO_PG_CONFIG_FAULT" --bindir)" \
	--seconds "${1:-45}" --seed "${2:-1}" ${3:+--round "$3"}
