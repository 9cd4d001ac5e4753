#!/usr/bin/env bash
# What validation alone costs; see validate.py.
#
#   test/bench/validate.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
. test/lib/engine_server.sh
venv=$MO_CACHE/engine-venv
if ! cmp -s test/fuzz/requirements.txt "$venv/requirements.txt"; then
	[ -x "$venv/bin/pip" ] || /usr/bin/python3 -m venv "$venv"
	"$venv/bin/pip" install -q --disable-pip-version-check -r test/fuzz/requirements.txt
	cp test/fuzz/requirements.txt "$venv/requirements.txt"
fi
ENGINE_OPTIONS="-c shared_buffers=256MB"
engine_server_start bench
"$venv/bin/python" test/bench/validate.py "host=$ENGINE_DIR user=postgres dbname=postgres"
