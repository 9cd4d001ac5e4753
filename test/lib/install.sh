#!/usr/bin/env bash
# Installs what building and testing need and what is missing: Debian
# packages, an unprivileged user; given "client" a Python environment with a
# Kafka client, given "kafka" Apache Kafka as well.  Says nothing when all is
# there.
#
#   test/lib/install.sh [client | kafka]
set -euo pipefail
. "$(dirname "$0")/env.sh"

# Server and headers as a pair, of the version that Debian release ships.
packages=(gcc make meson pkg-config git procps util-linux python3 python3-venv
	libc6-dev librdkafka-dev libjson-c-dev libpcre2-dev liburiparser-dev
	libidn2-dev libipc-run-perl openssl perl)
[ "${1:-}" != kafka ] || packages+=(default-jre-headless maven)
missing=()
for p in "${packages[@]}"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] ||
		missing+=("$p")
done

apt_install() {
	if [ "$(id -u)" != 0 ]; then
		echo "missing packages, to be installed by root: $*" >&2
		exit 1
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get -qq -o Acquire::Retries=3 update >&2
	apt-get -qq -y -o Acquire::Retries=3 --no-install-recommends install "$@" >&2
}

if [ -z "$MO_PG" ] || [ ! -x "/usr/lib/postgresql/$MO_PG/bin/postgres" ]; then
	if [ -z "$MO_PG" ]; then
		[ "$(id -u)" != 0 ] || apt-get -qq update >&2
		MO_PG=$(apt-cache depends postgresql |
			sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -1)
	fi
	missing+=("postgresql-$MO_PG" "postgresql-server-dev-$MO_PG")
fi
[ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"

id "$MO_USER" >/dev/null 2>&1 ||
	useradd --system --create-home --home-dir "/var/lib/$MO_USER" "$MO_USER"
mo_paths

if [ "${1:-}" = kafka ] && [ ! -f "$MO_KAFKA_JARS/.complete" ]; then
	mkdir -p "$MO_KAFKA_JARS"
	mvn -B -q -Dstyle.color=never -f "$MO_ROOT/test/lib/kafka/pom.xml" \
		dependency:copy-dependencies -Dkafka.version="$MO_KAFKA" \
		-DoutputDirectory="$MO_KAFKA_JARS" >&2
	touch "$MO_KAFKA_JARS/.complete"
fi

if [ -n "${1:-}" ]; then
	reqs=$MO_ROOT/test/lib/requirements.txt
	if ! cmp -s "$reqs" "$MO_CACHE/venv/requirements.txt"; then
		/usr/bin/python3 -m venv --clear "$MO_CACHE/venv"
		"$MO_CACHE/venv/bin/pip" -q --disable-pip-version-check \
			install -r "$reqs" >&2
		cp "$reqs" "$MO_CACHE/venv/requirements.txt"
	fi
	chmod -R go+rX "$MO_CACHE"
fi
