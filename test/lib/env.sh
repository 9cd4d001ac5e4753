# Sourced by every test script: where things are, who runs servers.
#
#   MO_ROOT     the checkout
#   MO_BUILD    everything that is built or written (default: build/ in it)
#   MO_CACHE    what was fetched once: Kafka's jars, the Python environment
#   MO_USER     unprivileged user that servers run as
#   MO_KAFKA    version of Apache Kafka that brokers are started from
#   MO_PG       major version of the PostgreSQL under test
#   MO_PGPREFIX, MO_PGPREFIX_FAULT
#               private installations: as shipped, and with fault points
#
# A checkout below a folder that MO_USER may not enter (/root, say) is fine, and
# so is one whose path has a blank, which make cannot stand, or is too long for
# a socket's: then MO_BUILD and MO_CACHE move to /var/tmp.

MO_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# The server's owner: whoever runs us, or for root the packaged user.
if [ "$(id -u)" != 0 ]; then
	MO_USER=$(id -un)
else
	MO_USER=${MO_USER:-postgres}
fi

as_user() {
	if [ "$(id -u)" = 0 ]; then
		runuser -u "$MO_USER" -- "$@"
	else
		"$@"
	fi
}

mo_paths() {
	local away
	away=/var/tmp/mesh_outbox.$(printf %s "$MO_ROOT" | cksum | cut -d' ' -f1)
	if as_user test -x "$MO_ROOT" && [[ $MO_ROOT != *[[:space:]]* ]] &&
		[ ${#MO_ROOT} -le 60 ]; then
		away=$MO_ROOT
		MO_BUILD=${MO_BUILD:-$away/build}
		MO_CACHE=${MO_CACHE:-$away/.cache}
	else
		MO_BUILD=${MO_BUILD:-$away/build}
		MO_CACHE=${MO_CACHE:-$away/cache}
	fi
	MO_PGPREFIX=$MO_BUILD/pg-$MO_PG
	MO_PGPREFIX_FAULT=$MO_BUILD/pg-$MO_PG-fault
	MO_PG_CONFIG=$MO_PGPREFIX/lib/postgresql/$MO_PG/bin/pg_config
	MO_PG_CONFIG_FAULT=$MO_PGPREFIX_FAULT/lib/postgresql/$MO_PG/bin/pg_config
	MO_PYTHON=$MO_CACHE/venv/bin/python3
	MO_KAFKA_JARS=$MO_CACHE/kafka-$MO_KAFKA
	export MO_ROOT MO_BUILD MO_CACHE MO_USER MO_PG MO_PGPREFIX \
		MO_PGPREFIX_FAULT MO_PG_CONFIG MO_PG_CONFIG_FAULT MO_PYTHON \
		MO_KAFKA_JARS
}

# The newest PostgreSQL that has its server headers here, unless told.
if [ -z "${MO_PG:-}" ]; then
	MO_PG=$(ls -d /usr/lib/postgresql/*/lib/pgxs/src/makefiles 2>/dev/null |
		cut -d/ -f5 | sort -n | tail -1) || MO_PG=
fi
# The last line without KAFKA-20734, by which a coordinator forgets to end
# transactions in partitions that have no leader for a moment.
MO_KAFKA=${MO_KAFKA:-4.2.1}
# What is made here MO_USER has to read, whatever the caller keeps to himself.
umask 022
export LC_ALL=C.UTF-8 PGTZ=UTC PYTHONDONTWRITEBYTECODE=1
# Deadlines of PostgreSQL's own tools, s: they end what hangs, and must not be
# met by a machine that is only slow.
export PGCTLTIMEOUT=${PGCTLTIMEOUT:-600} PGISOLATIONTIMEOUT=${PGISOLATIONTIMEOUT:-600}
export PG_TEST_TIMEOUT_DEFAULT=${PG_TEST_TIMEOUT_DEFAULT:-300}
unset PGHOST PGPORT PGUSER PGDATABASE PGPASSWORD PGOPTIONS
if id "$MO_USER" >/dev/null 2>&1; then mo_paths; fi

# A folder that belongs to MO_USER.
user_dir() {
	mkdir -p "$1"
	[ "$(id -u)" != 0 ] || chown "$MO_USER:" "$1"
}
