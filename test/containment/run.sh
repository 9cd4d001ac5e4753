#!/usr/bin/env bash
# Is one schema contained in another: verdicts against known truth.
#
#   test/containment/run.sh [--verbose]
#
# Our own pairs (pairs.json) always; the containment corpus where it lies
# beside the checkout or in $MO_CONTAINMENT_CORPUS (it is not part of it).
set -euo pipefail
cd "$(dirname "$0")/../.."
. test/lib/env.sh
. test/containment/server.sh
python_with jsonschema-rs==0.60.3
server_start containment 15210
corpus=${MO_CONTAINMENT_CORPUS:-$MO_ROOT/../shared/corpora/containment}
[ -d "$corpus" ] || corpus=
# What is decided is decided by its content, not by the machine's speed.
PGOPTIONS="-c mesh_outbox.compare_timeout=20s" "$PYTHON" test/containment/run.py "$CONNECTION" "$corpus" "$@"
