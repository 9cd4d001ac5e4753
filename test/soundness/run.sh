#!/usr/bin/env bash
# Looks for a wrong proof; see fuzz.py.
#
#   test/soundness/run.sh [seconds] [seed] [round]
#
# Two minutes and seed 1 unless told; a round repeats that one alone.
set -euo pipefail
cd "$(dirname "$0")/../.."
. test/lib/env.sh
. test/containment/server.sh
python_with jsonschema-rs==0.60.3 hypothesis-jsonschema==0.23.1
server_start soundness 15211
"$PYTHON" test/soundness/fuzz.py "$CONNECTION" "${1:-120}" "${2:-1}" ${3:+"$3"}
