# Sourced by the tests of the schema engine: builds this tree into a private
# PostgreSQL and starts a throw-away server with the extension.
#
#   engine_server_start NAME    sets ENGINE_PSQL, the options of psql; the
#                               server is stopped when the script ends
#
# PG_CONFIG may name a private PostgreSQL that has this tree installed.
. test/lib/env.sh

engine_server_start()
{
	local name=$1 pg_config=${PG_CONFIG:-$MO_PG_CONFIG}
	[ -n "${PG_CONFIG:-}" ] || test/lib/build.sh normal >/dev/null
	ENGINE_BINDIR=$("$pg_config" --bindir)
	ENGINE_DIR=$(mktemp -d "/tmp/mo-$name-XXXXXX")
	user_dir "$ENGINE_DIR"
	trap engine_server_stop EXIT
	as_user "$ENGINE_BINDIR/initdb" -D "$ENGINE_DIR/data" -E UTF8 --no-locale \
		-A trust -U postgres >/dev/null
	as_user "$ENGINE_BINDIR/pg_ctl" -w -s -D "$ENGINE_DIR/data" -l "$ENGINE_DIR/log" \
		-o "-c listen_addresses= -c unix_socket_directories=$ENGINE_DIR -c fsync=off ${ENGINE_OPTIONS:-}" start
	ENGINE_PSQL=(-h "$ENGINE_DIR" -U postgres -d postgres)
	psql -X -q "${ENGINE_PSQL[@]}" -c "CREATE EXTENSION mesh_outbox"
}

engine_server_stop()
{
	as_user "$ENGINE_BINDIR/pg_ctl" -s -m immediate -D "$ENGINE_DIR/data" stop || true
	rm -rf "$ENGINE_DIR"
}
