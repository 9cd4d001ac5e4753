#!/usr/bin/env bash
# Lays out the C sources as PostgreSQL's own, with pg_bsd_indent (Debian:
# pg-bsd-indent) and the options that pgindent gives it.
#
#   contrib/dev/indent.sh [FILE...]     rewrite (default: all of src/)
#   contrib/dev/indent.sh --check       print what would change; exit status 1 if anything
#
# The indenter must know which names are types, so the tree must be built (make).
# What it makes of a line is a proposal: it is confused by a member named like a
# type and by a block after a list macro; before 2.1.2 it does not indent the
# second line of an initialiser.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v pg_bsd_indent >/dev/null || { echo "pg_bsd_indent is needed (apt install pg-bsd-indent)" >&2; exit 2; }

check=''
[ "${1:-}" != --check ] || { check=yes; shift; }
files=("$@")
[ $# -gt 0 ] || files=(src/*.[ch] src/*/*.[ch])

typedefs=$(mktemp)
trap 'rm -f "$typedefs"' EXIT
# As PostgreSQL's build farm does it: from the debugging information.
{
	objdump -Wi src/*.o src/*/*.o | awk '/DW_TAG_typedef/ { getline; print $NF }'
	sed -n 's/^} \(\w*\);$/\1/p' src/*.[ch] src/*/*.[ch]
} |
	grep -vxE 'text|date|interval|timestamp|ANY' | sort -u > "$typedefs"
[ -s "$typedefs" ] || { echo "no debugging information: build first" >&2; exit 2; }

status=0
for f in "${files[@]}"; do
	new=$(pg_bsd_indent -bad -bap -bbb -bc -bl -cli1 -cp33 -cdb -nce -d0 -di12 -nfc1 -i4 -l79 \
		-lp -lpl -nip -npro -sac -tpg -ts4 -U"$typedefs" < "$f" |
		sed -E 's/^(\w+)\s+\*$/\1 */'; echo .)
	new=${new%.}
	if [ -n "$check" ]; then
		diff -u --label "$f" --label "$f (indented)" "$f" <(printf %s "$new") || status=1
	elif ! cmp -s "$f" <(printf %s "$new"); then
		printf %s "$new" > "$f"
		echo "$f"
	fi
done
exit $status
