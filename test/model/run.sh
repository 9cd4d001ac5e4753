#!/usr/bin/env bash
# The model of the publish protocol, explored exhaustively.
#
#   test/model/run.sh [quick]   under a minute; large scenarios are cut off
#   test/model/run.sh all       every scenario to its end, every ablation
#   test/model/run.sh big       more faults: by hand, hours, much memory
#   test/model/run.sh SCENARIO [field=value …]     one scenario, with its trace
#
# Ends with "N passed, N failed"; the exit status tells.
set -euo pipefail
cd "$(dirname "$0")"
command -v python3 >/dev/null || { echo "python3 is needed" >&2; exit 2; }
export PYTHONDONTWRITEBYTECODE=1
exec nice python3 check.py "${@:-quick}"
