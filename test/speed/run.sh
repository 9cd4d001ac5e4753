#!/usr/bin/env bash
# Guards against lost speed, in seconds: processor time against that of a
# baseline in the same run (ratios.py), never against a clock.
#
#   test/speed/run.sh
#
# Ends with "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/../.."
test/lib/install.sh client || { echo "0 passed, 1 failed"; exit 1; }
. test/lib/env.sh
tree=$(test/lib/build.sh normal) || { echo "0 passed, 1 failed"; exit 1; }
dir=$MO_BUILD/tmp-speed
rm -rf "$dir"
user_dir "$MO_BUILD"
user_dir "$dir"
if ! cc -O2 -Wall -Wextra -Werror -o "$dir/stage" test/bench/stage.c \
	$(pkg-config --cflags --libs rdkafka); then
	echo "0 passed, 1 failed"
	exit 1
fi
cd "$tree"
as_user "$MO_PYTHON" test/speed/ratios.py --dir "$dir" \
	--bindir "$("$MO_PG_CONFIG" --bindir)"
