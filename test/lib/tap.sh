#!/usr/bin/env bash
# Runs TAP tests of a built tree as MO_USER, two at a time, and counts.
#
#   test/lib/tap.sh TREE PATTERN     e.g. tap.sh $tree 'test/t/0*.pl'
#
# Needs what install.sh and build.sh fault have made.  One log per test:
# $MO_BUILD/log/tap/NAME.log; the servers' logs lie in TREE/tmp_check/log.
set -uo pipefail
. "$(dirname "$0")/env.sh"
tree=$1
pattern=$2
logs=$MO_BUILD/log/tap
user_dir "$logs"
cd "$tree" || exit 1
libdir=$("$MO_PG_CONFIG_FAULT" --pkglibdir)

run_one() {
	local file=$1 name log status=0 ok bad started=$SECONDS planned
	name=$(basename "$file" .pl)
	log=$logs/$name.log
	as_user env \
		PATH="$("$MO_PG_CONFIG_FAULT" --bindir):$PATH" \
		TESTDIR="$tree" TESTDATADIR="$tree/tmp_check/$name" \
		TESTLOGDIR="$tree/tmp_check/$name/log" \
		PG_REGRESS="$libdir/pgxs/src/test/regress/pg_regress" \
		MO_ROOT="$tree" MO_PYTHON="$MO_PYTHON" MO_KAFKA_JARS="$MO_KAFKA_JARS" \
		timeout -k 20 "${MO_TAP_TIMEOUT:-1800}" \
		perl -I"$libdir/pgxs/src/test/perl" -Itest/perl "$file" \
		> "$log" 2>&1 < /dev/null || status=$?
	ok=$(grep -c '^ok ' "$log")
	bad=$(grep -c '^not ok ' "$log")
	planned=$(grep -cE '^1\.\.[0-9]+' "$log")
	# Died, timed out, or ended before done_testing.
	if [ "$bad" = 0 ] && { [ $status != 0 ] || [ "$planned" = 0 ]; }; then
		bad=1
	fi
	echo "$ok $bad $name $status $((SECONDS - started))"
}
export -f run_one as_user
export tree libdir logs

user_dir "$tree/tmp_check"
files=$(ls -- $pattern)
for f in $files; do
	name=$(basename "$f" .pl)
	rm -rf "tmp_check/$name" tmp_check/t_"$name"_* tmp_check/log/"$name"_*
	user_dir "$tree/tmp_check/$name"
	user_dir "$tree/tmp_check/$name/log"
done
results=$(xargs -P "${MO_TAP_JOBS:-2}" -I{} bash -c 'run_one {}' <<< "$files")

passed=0 failed=0
while read -r ok bad name status seconds; do
	[ -n "$name" ] || continue
	passed=$((passed + ok))
	failed=$((failed + bad))
	printf '  %-32s %4d ok, %3d not ok, %4d s\n' "$name" "$ok" "$bad" "$seconds"
	if [ "$bad" != 0 ]; then
		echo "  -- $name ended with status $status; $logs/$name.log:"
		grep -A12 '^not ok ' "$logs/$name.log" | head -60
		tail -15 "$logs/$name.log"
		# PostgreSQL's library keeps the standard error: what made it die.
		cat "tmp_check/log/regress_log_$name" \
			"tmp_check/$name/log/regress_log_$name" 2>/dev/null | tail -25
	fi
done < <(sort -k3 <<< "$results")
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
