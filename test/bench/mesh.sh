#!/usr/bin/env bash
# How long the catalog takes to answer when it is large: 1,000 products, 10,000
# contracts, 100,000 consumers.
#
#   test/bench/mesh.sh [--calls N]
#
# Times are of one session on the clock, ms: the first call, then median, fastest
# and slowest of N (25) calls, and the median of the time on a processor, which
# other work on the machine disturbs less. A proposal concerns 10 consumers, is checked by
# the shipped policies and not tried on stored events, and is rolled back.
set -euo pipefail
cd "$(dirname "$0")/../.."
calls=25
while [ $# -gt 0 ]; do
	case $1 in
		--calls) calls=$2 ;;
		*) echo "unknown option: $1" >&2; exit 2 ;;
	esac
	shift 2
done
. test/lib/engine_server.sh
ENGINE_OPTIONS="-c shared_buffers=256MB -c max_wal_size=4GB"
engine_server_start mesh
psql -X -q -v ON_ERROR_STOP=1 -v "calls=$calls" "${ENGINE_PSQL[@]}" -f test/bench/mesh.sql
