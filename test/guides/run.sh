#!/usr/bin/env bash
# Types what README.md and the guides tell readers to type, and compares; and
# checks that between them they name every function and view that others than
# a superuser may use. Needs the normal build.
#
#   test/guides/run.sh             ends with "N passed, N failed"
#   test/guides/run.sh --update    writes what is shown now into the documents
set -uo pipefail
cd "$(dirname "$0")/../.."
. test/lib/engine_server.sh

command -v kcat >/dev/null || {
	[ "$(id -u)" = 0 ] || { echo "missing package, to be installed by root: kcat" >&2; exit 1; }
	export DEBIAN_FRONTEND=noninteractive
	apt-get -qq update >&2
	apt-get -qq -y --no-install-recommends install kcat >&2
}
ENGINE_OPTIONS="-c shared_preload_libraries=mesh_outbox -c wal_level=logical -c timezone=UTC"
engine_server_start guides
psql=("$ENGINE_BINDIR/psql" -X -q -h "$ENGINE_DIR" -U postgres)
passed=0 failed=0

# Adds a command's "N passed, N failed" to ours.
count() {
	local out p f
	out=$("$@")
	printf '%s\n' "$out" | sed '$d'
	read -r p _ f _ <<< "$(tail -1 <<< "$out")"
	[[ $p =~ ^[0-9]+$ ]] || { p=0 f=1; printf '%s\n' "$out"; }
	passed=$((passed + p)) failed=$((failed + f))
}

export MO_SECRET_FILE=$ENGINE_DIR/data/PG_VERSION	# any file of the server's own

# Each as a new user meets it.
guides=(contrib/guides/{producer,consumer,steward}.md)
"${psql[@]}" -d postgres -c "CREATE DATABASE readme" -c "CREATE DATABASE guides"
count python3 test/guides/check.py "$@" "${psql[*]}" readme README.md
"${psql[@]}" -d postgres -c "DROP DATABASE readme" -c "DROP ROLE sales_team"
count python3 test/guides/check.py "$@" "${psql[*]}" guides "${guides[@]}"
count python3 test/guides/reference.py "${psql[*]}" README.md "${guides[@]}"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
