#!/usr/bin/env bash
# Fuzzes the schema engine, in three parts:
#
#   hostile       documents and schemas made to hang or to crash it
#   differential  random pairs against two independent validators
#   coverage      libFuzzer with UBSan, inside a single-user server
#
#   test/fuzz/run.sh [SECONDS [SEED]]
#
# SECONDS (default 60) is what each of the last two takes, SEED (default 1)
# what they begin with.  A failed part
# prints the seed or the input that reproduces it.
set -uo pipefail
cd "$(dirname "$0")/../.."
. test/lib/engine_server.sh
seconds=${1:-60}
seed=${2:-1}

clang=$(ls /usr/bin/clang /usr/bin/clang-[0-9]* 2>/dev/null | head -1)
if [ -z "$clang" ]; then
	if [ "$(id -u)" != 0 ]; then
		echo "missing packages, to be installed by root: clang"
		echo "0 passed, 1 failed"
		exit 1
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get -qq update >&2
	apt-get -qq -y --no-install-recommends install clang \
		"libclang-rt-$(apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -1)-dev" >&2
	clang=$(ls /usr/bin/clang | head -1)
fi
venv=$MO_CACHE/engine-venv
if ! cmp -s test/fuzz/requirements.txt "$venv/requirements.txt"; then
	[ -x "$venv/bin/pip" ] || /usr/bin/python3 -m venv "$venv"
	"$venv/bin/pip" install -q --disable-pip-version-check \
		-r test/fuzz/requirements.txt
	cp test/fuzz/requirements.txt "$venv/requirements.txt"
fi
mkdir -p "$MO_BUILD"
passed=0
failed=0
tally() {
	set -- $(tail -1 "$1" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p')
	passed=$((passed + ${1:-0}))
	failed=$((failed + ${2:-1}))
}

engine_server_start fuzz
conninfo="host=$ENGINE_DIR user=postgres dbname=postgres"
"$venv/bin/python" test/fuzz/hostile.py "$conninfo" | tee "$MO_BUILD/hostile.out"
tally "$MO_BUILD/hostile.out"
"$venv/bin/python" test/fuzz/differential.py "$conninfo" "$seconds" "$seed" |
	tee "$MO_BUILD/differential.out"
tally "$MO_BUILD/differential.out"

# The engine's sources and the target in one module of their own.
work=$ENGINE_DIR/coverage
pg_config=${PG_CONFIG:-$MO_PG_CONFIG}
driver=$("$clang" -print-file-name=libclang_rt.fuzzer_no_main-$(uname -m).a)
sources=(test/fuzz/target.c)
for f in annotation assert check children compile content dialect duplicates \
	ecma ecma_class ecma_property format \
	format_net format_time format_uri keyword metaschema number pattern \
	resource strict trail uri value violation walk; do
	sources+=("src/contract/$f.c")
done
mkdir -p "$work/corpus"
printf '%s' 1 > "$work/corpus/empty"
i=0
for f in "$MO_CACHE"/jsonschema-*/json/tests/draft2020-12/*.json; do
	[ -f "$f" ] || continue
	python3 - "$f" "$work/corpus" <<'PY'
import json, os, sys
groups = json.load(open(sys.argv[1]))
stem = os.path.basename(sys.argv[1])
for i, group in enumerate(groups[:4]):
    text = "%d%s\n%s" % (i % 8, json.dumps(group["schema"]),
                         json.dumps(group["tests"][0]["data"]))
    open(os.path.join(sys.argv[2], "%s-%d" % (stem, i)), "w").write(text)
PY
done
if "$clang" -g -O1 -fPIC -shared -o "$work/target.so" \
	-fsanitize=fuzzer-no-link,undefined -fno-sanitize=alignment,function,signed-integer-overflow \
	-fsanitize-trap=undefined -fwrapv -fno-strict-aliasing \
	-w -Isrc -I"$("$pg_config" --includedir-server)" -D_GNU_SOURCE \
	"${sources[@]}" -Wl,--whole-archive "$driver" -Wl,--no-whole-archive \
	-Wl,-Bsymbolic -lpcre2-8 -luriparser -lidn2 -lstdc++ -lpthread; then
	[ "$(id -u)" != 0 ] || chown -R "$MO_USER" "$work"
	as_user "$ENGINE_BINDIR/initdb" -D "$work/data" -E UTF8 --no-locale -A trust -U postgres >/dev/null
	printf '%s\n' \
		"CREATE FUNCTION mo_fuzz(text, int, int) RETURNS void LANGUAGE c AS '$work/target.so';" \
		"SELECT mo_fuzz('$work/corpus', $seconds, $seed);" |
		as_user timeout $((seconds + 900)) "$ENGINE_BINDIR/postgres" --single \
			-D "$work/data" -c max_stack_depth=1MB postgres \
			> "$MO_BUILD/coverage.out" 2>&1
	if grep -q '^Done [0-9]* runs' "$MO_BUILD/coverage.out"; then
		grep -E '^Done|cov:' "$MO_BUILD/coverage.out" | tail -2
		passed=$((passed + 1))
	else
		tail -40 "$MO_BUILD/coverage.out"
		for f in "$work"/corpus/crash-* "$work"/corpus/timeout-*; do
			[ ! -f "$f" ] || { cp "$f" "$MO_BUILD/"; echo "input kept as $MO_BUILD/$(basename "$f")"; }
		done
		failed=$((failed + 1))
	fi
else
	echo "the fuzz target could not be built"
	failed=$((failed + 1))
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
