#!/usr/bin/env bash
# Installs what is missing, builds, runs every test there is, and closes with
# one line "N passed, N failed"; the exit status tells.
#
#   test/run.sh              all parts
#   test/run.sh PART...      some of them (test/README.md describes each)
#
# A part is a script test/PART/run.sh, or one of the functions part_PART
# below; either ends its output with its own "N passed, N failed".
set -uo pipefail
exec < /dev/null				# it may be closed, and nobody is asked anything
cd "$(dirname "$0")/.."

all_parts=(build regress isolation model conformance fuzz containment
	soundness guides producer foreign tap kafka checker speed chaos)

parts=("$@")
[ $# -gt 0 ] || parts=("${all_parts[@]}")

want=
for part in "${parts[@]}"; do
	case $part in
		producer | kafka | chaos) want=kafka ;;
		foreign | tap | checker | speed) want=${want:-client} ;;
	esac
done
test/lib/install.sh $want || { echo "0 passed, 1 failed"; exit 1; }
. test/lib/env.sh
user_dir "$MO_BUILD"
mkdir -p "$MO_BUILD/log"
export MO_TMP=$MO_BUILD/tmp
user_dir "$MO_TMP"

# Trees are built once a run, when the first part asks for them.
declare -A trees
tree() {
	local variant=$1
	if [ -z "${trees[$variant]:-}" ]; then
		trees[$variant]=$(test/lib/build.sh "$variant") || {
			echo "the $variant build failed"
			return 1
		}
	fi
}

# Brokers end with us, whatever happens.
stop_brokers() {
	local f
	[ -x "${MO_PYTHON:-}" ] || return 0
	while IFS= read -r f; do
		"$MO_PYTHON" "$MO_ROOT/test/lib/kafka.py" stop "$(dirname "$f")"
	done < <(find "$MO_TMP" "$MO_BUILD"/tree-*/tmp_check -maxdepth 4 \
		-name cluster.json 2>/dev/null)
}
trap stop_brokers EXIT

# pg_regress's own words, 15 ("test x ... ok") and 16+ ("ok 1 - x").
count_regress() {
	local ok bad
	ok=$(grep -cE '^(test )?.* \.\.\. ok |^ok [0-9]+ ' "$1")
	bad=$(grep -cE '^(test )?.* \.\.\. FAILED|^not ok [0-9]+ ' "$1")
	echo "$ok passed, $bad failed"
}

part_regress() {
	tree normal || return 1
	local dir=${trees[normal]} log=$MO_BUILD/log/pg_regress.log status=0
	as_user make -C "$dir" PG_CONFIG="$MO_PG_CONFIG" installcheck > "$log" 2>&1 ||
		status=1
	if [ $status != 0 ]; then
		tail -20 "$log"
		head -c 20000 "$dir"/regression.diffs 2>/dev/null
	fi
	count_regress "$log"
	return $status
}

part_isolation() {
	tree normal || return 1
	local dir=${trees[normal]} log=$MO_BUILD/log/isolation.log status=0
	local base=$dir/tmp_check_isolation
	rm -rf "$base"
	user_dir "$base"
	(cd "$dir" && as_user "$("$MO_PG_CONFIG" --pkglibdir)/pgxs/src/test/isolation/pg_isolation_regress" \
		--inputdir=test/isolation --outputdir="$base" \
		--bindir="$("$MO_PG_CONFIG" --bindir)" --temp-instance="$base/instance" \
		--temp-config=test/regress.conf --dbname=isolation_regression \
		--encoding=UTF8 \
		$(cd test/isolation/specs && ls -- *.spec | sed 's/\.spec$//')) \
		> "$log" 2>&1 || status=1
	if [ $status != 0 ]; then
		tail -20 "$log"
		head -c 20000 "$base"/regression.diffs 2>/dev/null
	fi
	count_regress "$log"
	return $status
}

part_tap() {
	tree fault || return 1
	"$MO_ROOT/test/lib/tap.sh" "${trees[fault]}" 'test/t/0*.pl'
}

part_kafka() {
	tree fault || return 1
	"$MO_ROOT/test/lib/tap.sh" "${trees[fault]}" 'test/t/[1-9]*.pl'
}

part_checker() {
	local out status=0 run bad
	out=$(cd "$MO_ROOT" && "$MO_PYTHON" -m unittest discover -v \
		-s test/chaos -p 'test_*.py' 2>&1) || status=1
	[ $status = 0 ] || echo "$out"
	run=$(echo "$out" | sed -n 's/^Ran \([0-9]*\) test.*/\1/p')
	bad=$(echo "$out" | grep -cE ' \.\.\. (FAIL|ERROR)$')
	echo "$((${run:-0} - bad)) passed, $bad failed"
	return $status
}

part_chaos() {
	tree fault || return 1
	MO_CHAOS_TREE=${trees[fault]} test/chaos.sh --rounds "${MO_CHAOS_ROUNDS:-60}" \
		--seed "${MO_CHAOS_SEED:-1}"
}

# A part's own count, and a failure if it has none or its status disagrees.
run_part() {
	local part=$1 log=$MO_BUILD/log/part-$1.log status=0 started=$SECONDS line
	local tee_fd tee_pid
	echo "== $part"
	exec {tee_fd}> >(exec tee "$log")
	tee_pid=$!
	if declare -F "part_$part" >/dev/null; then
		"part_$part" >&"$tee_fd" 2>&1 || status=$?
	elif [ -f "test/$part/run.sh" ]; then
		if [ "$part" != model ]; then
			tree normal || status=1
		fi
		bash "test/$part/run.sh" >&"$tee_fd" 2>&1 < /dev/null || status=$?
	else
		echo "there is no part $part" >&"$tee_fd"
		status=2
	fi
	# The log is complete when its reader has ended.
	exec {tee_fd}>&-
	wait "$tee_pid"
	line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -1)
	local p=0 f=0
	[ -z "$line" ] || read -r p _ f _ <<< "$line"
	# A crash is a failure even if all that was counted went well; a part
	# that counted nothing has not been run.
	if [ "$f" = 0 ] && { [ $status != 0 ] || [ "$p" = 0 ]; }; then
		f=1
		echo "$part ended with status $status and no failure counted"
	fi
	passed=$((passed + p))
	failed=$((failed + f))
	summary+=$(printf '  %-12s %6d passed, %4d failed, %4d s' \
		"$part" "$p" "$f" $((SECONDS - started)))$'\n'
}

passed=0 failed=0 summary=
for part in "${parts[@]}"; do
	run_part "$part"
done
printf '\n%s' "$summary"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
