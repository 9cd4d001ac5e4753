#!/usr/bin/env bash
# How long a comparison takes: median, p99 and longest, in milliseconds.
#
#   test/bench/compat.sh
#
# Over the containment corpus where it is there, over contracts of 10 to 50
# fields that gain a field, change one and stay the same, and over a pair of
# schemas of 400 kB, which has to end within mesh_outbox.compare_timeout.
set -euo pipefail
cd "$(dirname "$0")/../.."
. test/lib/env.sh
. test/containment/server.sh
test/lib/build.sh normal > /dev/null
server_start bench-compat 15212
corpus=${MO_CONTAINMENT_CORPUS:-$MO_ROOT/../shared/corpora/containment}
[ -d "$corpus" ] || corpus=
python3 test/bench/compat.py "$CONNECTION" "$corpus"
