#!/usr/bin/env bash
# Builds with -Werror and runs regress and TAP on each PostgreSQL that Debian
# ships: 15 on the host or in a bookworm folder, 17 in trixie, 18 in forky.
#
#   test/matrix.sh [RELEASE...]      default: bookworm trixie forky
#   MO_MATRIX_PARTS="regress tap"    what runs in each; MO_CHAOS_ROUNDS and
#                                    MO_CHAOS_SEED are for its part "chaos"
#
# The folders are made once by debootstrap and kept in $MO_BUILD/matrix.
set -uo pipefail
cd "$(dirname "$0")/.."
. test/lib/env.sh
[ "$(id -u)" = 0 ] || { echo "debootstrap and chroot need root"; exit 1; }
command -v debootstrap >/dev/null ||
	{ apt-get -qq update && apt-get -qq -y install debootstrap; } || exit 1
parts=${MO_MATRIX_PARTS:-regress isolation tap}
releases=("$@")
[ $# -gt 0 ] || releases=(bookworm trixie forky)
base=$MO_BUILD/matrix
mkdir -p "$base/log"

passed=0 failed=0
for release in "${releases[@]}"; do
	dir=$base/$release
	log=$base/log/$release.log
	echo "== $release"
	if [ ! -e "$dir/.made" ]; then
		rm -rf "$dir"
		# A release younger than this debootstrap is made like any other.
		debootstrap --variant=minbase --include=ca-certificates "$release" "$dir" \
			"" /usr/share/debootstrap/scripts/sid > "$log" 2>&1 || { tail "$log"; failed=$((failed + 1)); continue; }
		touch "$dir/.made"
	fi
	# A testing release's index may be older than it says it should be.
	echo 'Acquire::Check-Valid-Until "false";' > "$dir/etc/apt/apt.conf.d/90stale"
	# The registries' clients are set up on the host: take that over.
	cp /etc/resolv.conf "$dir/etc/resolv.conf" 2>/dev/null
	cp /etc/ssl/certs/ca-certificates.crt "$dir/etc/ssl/certs/"
	mkdir -p "$dir/src" "$dir/cache"
	find "$dir/src" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} +
	git ls-files -z -co --exclude-standard |
		xargs -0 cp -p --parents -t "$dir/src" 2>/dev/null
	mountpoint -q "$dir/proc" || mount -t proc proc "$dir/proc"
	mountpoint -q "$dir/dev" || mount --rbind /dev "$dir/dev"
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb CI=true \
		PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
		DEBIAN_FRONTEND=noninteractive MO_CACHE=/cache MO_CFLAGS=-Werror \
		${MO_CHAOS_ROUNDS:+MO_CHAOS_ROUNDS="$MO_CHAOS_ROUNDS"} \
		${MO_CHAOS_SEED:+MO_CHAOS_SEED="$MO_CHAOS_SEED"} \
		chroot "$dir" bash -c "cd /src && test/run.sh $parts" < /dev/null 2>&1 |
		tee "$log"
	umount -l "$dir/dev" "$dir/proc"
	line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -1)
	if [ -n "$line" ]; then
		read -r p _ f _ <<< "$line"
		passed=$((passed + p))
		failed=$((failed + f))
	else
		failed=$((failed + 1))
	fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
