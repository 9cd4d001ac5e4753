#!/usr/bin/env bash
# Both builds, warning-free and with the same result; the house rules that a
# program can check. Writes into a scratch folder only.
#
#   test/build/run.sh       uses $MO_PG_CONFIG, else pg_config of PATH
#
# Ends with "N passed, N failed"; the exit status tells.
set -uo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
pg_config=$(command -v "${MO_PG_CONFIG:-pg_config}") || { echo "no pg_config" >&2; exit 2; }
scratch=$(mktemp -d "${TMPDIR:-/tmp}/mesh_outbox_build.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
passed=0 failed=0

# check WHAT COMMAND...: passes when the command succeeds and prints nothing.
check() {
	local what=$1 out
	shift
	if out=$("$@" 2>&1) && [ -z "$out" ]; then
		passed=$((passed + 1))
		echo "ok   $what"
	else
		failed=$((failed + 1))
		echo "FAIL $what"
		printf '%s\n' "${out:-(no output)}" | tail -40 | sed 's/^/     /'
	fi
}

# What belongs to the product, without what an earlier build left in the tree.
copy_tree() {
	mkdir -p "$1"
	tar -C "$root" -cf - --exclude='*.o' --exclude='*.so' \
		--exclude='mesh_outbox--*.sql' mesh_outbox.control Makefile \
		meson.build src | tar -C "$1" -xf -
}

build_make() {
	copy_tree "$scratch/make"
	{
		make -C "$scratch/make" -j"$(nproc)" PG_CONFIG="$pg_config" MO_CFLAGS=-Werror all &&
			make -C "$scratch/make" PG_CONFIG="$pg_config" DESTDIR="$scratch/by_make" install
	} > "$scratch/make.log" 2>&1 || { cat "$scratch/make.log"; return 1; }
	grep -i 'warning:' "$scratch/make.log" || true
}

build_meson() {
	copy_tree "$scratch/meson"
	printf "[binaries]\npg_config = '%s'\n" "$pg_config" > "$scratch/native.ini"
	{
		meson setup --werror --native-file "$scratch/native.ini" \
			"$scratch/meson/out" "$scratch/meson" &&
			meson compile -C "$scratch/meson/out" &&
			DESTDIR="$scratch/by_meson" meson install -C "$scratch/meson/out" --no-rebuild
	} > "$scratch/meson.log" 2>&1 || { cat "$scratch/meson.log"; return 1; }
	grep -i 'warning:' "$scratch/meson.log" || true
}

installed() { (cd "$scratch/$1" && find . -type f | sort); }
symbols() { nm -D --defined-only "$(find "$scratch/$1" -name mesh_outbox.so)" | awk '{print $3}' | sort; }
script() { cat "$(find "$scratch/$1" -name 'mesh_outbox--*.sql')"; }

same() { diff <("$1" by_make) <("$1" by_meson); }

# PostgreSQL 15 puts every symbol of every module into one name space.
foreign_symbols() {
	symbols by_make |
		grep -vE '^((pg_finfo_)?(mo|mesh_outbox)_|Pg_magic_func$|_PG_init$|_PG_output_plugin_init$)' || true
	[ -n "$(symbols by_make)" ] || echo "no symbols at all"
}

# only PATTERN WHERE...: lines of the C sources that match, outside WHERE.
only() {
	local pattern=$1
	shift
	grep -rnE --include='*.[ch]' "$pattern" src | grep -vE "^($(IFS='|'; echo "$*"))" || true
}

# within FOLDER PATTERN: lines of a folder that match.
within() { [ ! -d "$1" ] || grep -rnE --include='*.[ch]' "$2" "$1" || true; }

# The code's fault points and the protocol steps of the model are the same.
step_names() {
	diff <(grep -rhoE --include='*.c' 'MO_FAULT_POINT\("[a-z_0-9]+"' src |
		sed 's/.*"\(.*\)"/\1/' | sort -u) \
		<(sed '/^## Steps of the world/,$d' test/model/STEPS.md | grep '^| `' |
			cut -d'|' -f2 | grep -o '`[a-z_0-9]*`' | tr -d '`' | sort -u)
}

no_head() {
	local f
	for f in src/*.[ch] src/*/*.[ch]; do
		head -c 3 "$f" | grep -q '^/\*-' || echo "$f"
	done
}

check "make: no warning" build_make
check "meson: no warning" build_meson
check "both install the same files" same installed
check "both export the same symbols" same symbols
check "both join the same install script" same script
check "exported symbols carry our prefix" foreign_symbols
check "PG_VERSION_NUM in compat.h only" only '^[[:space:]]*#.*PG_VERSION_NUM' src/compat.h:
check "rdkafka.h in the producer only" only '#include.*rdkafka' src/publisher/producer
check "replication/ in decoding only" only '#include.*"replication/' src/publisher/decode src/publisher/plugin
check "contract/ knows neither Kafka nor WAL" within src/contract \
	'#include.*(rdkafka|replication/|access/xlog|publisher/|outbox/)'
check "outbox/ knows no Kafka" within src/outbox '#include.*(rdkafka|publisher/producer)'
check "every file says what it is" no_head
check "fault points are the model's steps" step_names
check "nothing left to do" only '\b(TODO|FIXME|XXX)\b'
check "every warning and error has an errcode" python3 "$root/test/build/errcodes.py" src
check "SECURITY DEFINER pins its search_path" python3 "$root/test/build/definers.py" src
check "README names what exists" python3 "$root/test/build/readme.py" src README.md
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
