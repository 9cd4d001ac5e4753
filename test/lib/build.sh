#!/usr/bin/env bash
# Builds the checkout and installs it into a private PostgreSQL under
# $MO_BUILD.  Prints the folder of the copied tree, from which tests run.
#
#   test/lib/build.sh normal     as shipped
#   test/lib/build.sh fault      with fault points (MO_FAULT_POINTS)
#
# The tree is copied first, for two reasons: two builds with different flags
# cannot share object files, and the tests' user may write into the copy.
set -euo pipefail
. "$(dirname "$0")/env.sh"
variant=${1:?normal or fault}
tree=$MO_BUILD/tree-$MO_PG-$variant
case $variant in
	normal) prefix=$MO_PGPREFIX pg_config=$MO_PG_CONFIG flags= ;;
	fault) prefix=$MO_PGPREFIX_FAULT pg_config=$MO_PG_CONFIG_FAULT flags=-DMO_FAULT_POINTS ;;
	*) echo "unknown build: $variant" >&2; exit 2 ;;
esac

mkdir -p "$MO_BUILD" "$tree"
chmod go+rx "$MO_BUILD"
"$MO_ROOT/test/lib/private_pg.sh" "$prefix" "$MO_PG" >/dev/null

# What is in the checkout, by time; what has left it leaves the copy.
cd "$MO_ROOT"
wanted=$(mktemp)
trap 'rm -f "$wanted"' EXIT
find . \( -name .git -o -path ./build -o -path ./.cache \) -prune -o \
	-type f ! -name '*.o' ! -name '*.so' ! -name 'mesh_outbox--*.sql' \
	-print | sort > "$wanted"
xargs -d '\n' cp -up --parents -t "$tree" < "$wanted"
(cd "$tree" && mkdir -p src sql expected test &&
	find ./src ./sql ./expected ./test -type f ! -name '*.o' |
	sort | comm -23 - "$wanted" | xargs -r -d '\n' rm -f)

log=$MO_BUILD/log/build-$MO_PG-$variant.log
mkdir -p "$MO_BUILD/log"
if ! make -s -C "$tree" -j"$(nproc)" PG_CONFIG="$pg_config" \
	MO_CPPFLAGS="$flags" MO_CFLAGS="${MO_CFLAGS:-}" all > "$log" 2>&1 ||
	! make -s -C "$tree" PG_CONFIG="$pg_config" MO_CPPFLAGS="$flags" \
		MO_CFLAGS="${MO_CFLAGS:-}" install >> "$log" 2>&1; then
	grep -E "error|warning|\*\*\*|undefined" "$log" >&2 || tail -30 "$log" >&2
	exit 1
fi
chmod -R go+rX "$prefix/lib" "$prefix/share"
[ "$(id -u)" != 0 ] || chown -R "$MO_USER:" "$tree"
echo "$tree"
