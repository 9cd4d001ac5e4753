#!/usr/bin/env bash
# Where the time goes while a backlog drains: microseconds per event of the
# publisher's main thread by stage, of the library's threads, of the scribe and
# the broker.
#
#   test/bench/profile.sh [--events N]
#
# Processor time by thread comes from the kernel's accounts, exactly; perf
# splits that of the main thread by what is on its stack.  The clock is
# cpu-clock, so no hardware counters are needed.  Where perf may not look, the
# table by thread is all there is, and it says so.
#
# MO_RDKAFKA names a librdkafka (default: the Python client's).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if ! command -v perf > /dev/null && [ "$(id -u)" = 0 ]; then
	apt-get -qq -y --no-install-recommends install linux-perf >&2 ||
		echo "perf cannot be installed" >&2
fi
. "$here/../lib/env.sh"
dir=$MO_BUILD/tmp/bench

# Started with the drain, beside it: perf sees the server's processes as root
# or as their owner.
follow() {
	local pid perf
	until [ -s "$dir/publisher.pid" ]; do sleep 0.02; done
	pid=$(cat "$dir/publisher.pid")
	perf record -q -e cpu-clock -F 499 --call-graph dwarf,16384 -t "$pid" \
		-o "$dir/perf.data" > "$dir/perf.log" 2>&1 &
	perf=$!
	until [ -e "$dir/drained" ]; do sleep 0.1; done
	kill -INT "$perf" 2> /dev/null || true
	wait "$perf" || true
	# Inlined functions would be looked up by a program for each address.
	perf script --no-inline -i "$dir/perf.data" -F ip,sym,dso \
		> "$dir/stacks.part" 2>> "$dir/perf.log" || true
	mv "$dir/stacks.part" "$dir/stacks"
}
rm -f "$dir/publisher.pid" "$dir/drained" "$dir/stacks"
follow &
trap 'kill $! 2> /dev/null || true' EXIT
"$here/run.sh" --profile "$@"
