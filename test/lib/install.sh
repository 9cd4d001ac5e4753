#!/usr/bin/env bash
# Installs what building and testing need and what is missing: Debian
# packages, an unprivileged user; given "client" a Python environment with a
# Kafka client, given "kafka" Apache Kafka as well; given "build" only what a
# build needs.  Says nothing when all is there.
#
#   test/lib/install.sh [tests | build | client | kafka] [PACKAGE...]
set -euo pipefail
. "$(dirname "$0")/env.sh"

what=${1:-tests}
packages=(gcc make pkg-config procps util-linux libc6-dev librdkafka-dev
	libjson-c-dev libpcre2-dev liburiparser-dev libidn2-dev "${@:2}")
[ "$what" = build ] ||
	packages+=(meson git python3 python3-venv libipc-run-perl openssl perl)
[ "$what" != kafka ] || packages+=(default-jre-headless maven)
missing=()
for p in "${packages[@]}"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] ||
		missing+=("$p")
done

# What a command says is of interest when it fails.
quietly() {
	local said
	said=$("$@" 2>&1) || { echo "$said" >&2; exit 1; }
}

apt_install() {
	if [ "$(id -u)" != 0 ]; then
		echo "missing packages, to be installed by root: $*" >&2
		exit 1
	fi
	export DEBIAN_FRONTEND=noninteractive
	echo "installing with apt: $*" >&2
	quietly apt-get -qq -o Acquire::Retries=3 update
	quietly apt-get -qq -y -o Acquire::Retries=3 --no-install-recommends install "$@"
}

# Server and headers as a pair, of the version that Debian release ships.
if [ -z "$MO_PG" ] || [ ! -x "/usr/lib/postgresql/$MO_PG/bin/postgres" ]; then
	if [ -z "$MO_PG" ]; then
		[ "$(id -u)" != 0 ] || quietly apt-get -qq update
		MO_PG=$(apt-cache depends postgresql |
			sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -1)
	fi
	missing+=("postgresql-$MO_PG" "postgresql-server-dev-$MO_PG")
fi
[ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"

id "$MO_USER" >/dev/null 2>&1 ||
	useradd --system --create-home --home-dir "/var/lib/$MO_USER" "$MO_USER"
mo_paths

if [ "$what" = kafka ] && [ ! -f "$MO_KAFKA_JARS/.complete" ]; then
	mkdir -p "$MO_KAFKA_JARS"
	mvn -B -q -Dstyle.color=never -f "$MO_ROOT/test/lib/kafka/pom.xml" \
		dependency:copy-dependencies -Dkafka.version="$MO_KAFKA" \
		-DoutputDirectory="$MO_KAFKA_JARS" >&2
	touch "$MO_KAFKA_JARS/.complete"
fi

if [ "$what" = client ] || [ "$what" = kafka ]; then
	reqs=$MO_ROOT/test/lib/requirements.txt
	if ! cmp -s "$reqs" "$MO_CACHE/venv/requirements.txt"; then
		/usr/bin/python3 -m venv --clear "$MO_CACHE/venv"
		"$MO_CACHE/venv/bin/pip" -q --disable-pip-version-check \
			install -r "$reqs" >&2
		cp "$reqs" "$MO_CACHE/venv/requirements.txt"
	fi
	chmod -R go+rX "$MO_CACHE"
fi
