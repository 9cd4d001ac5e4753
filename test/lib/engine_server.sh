# Sourced by the tests of the schema engine: builds this tree into a private
# PostgreSQL and starts a throw-away server with the extension.
#
#   engine_server_start NAME    sets ENGINE_PSQL, the options of psql; the
#                               server is stopped when the script ends
#
# PG_CONFIG may name a private PostgreSQL that already has the tree installed.
engine_server_start()
{
	local name=$1 pg_config bindir
	pg_config=${PG_CONFIG:-$(test/lib/private_pg.sh "$PWD/build/pg" 15)}
	make -s -j2 PG_CONFIG="$pg_config" install >/dev/null
	bindir=$("$pg_config" --bindir)
	ENGINE_BINDIR=$bindir
	ENGINE_DIR=$(mktemp -d "/tmp/mo-$name-XXXXXX")
	ENGINE_AS=()
	if [ "$(id -u)" = 0 ]; then
		chown postgres "$ENGINE_DIR"
		ENGINE_AS=(runuser -u postgres --)
	fi
	trap 'engine_server_stop' EXIT
	"${ENGINE_AS[@]}" "$bindir/initdb" -D "$ENGINE_DIR/data" -E UTF8 --no-locale -A trust -U postgres >/dev/null
	"${ENGINE_AS[@]}" "$bindir/pg_ctl" -w -s -D "$ENGINE_DIR/data" -l "$ENGINE_DIR/log" \
		-o "-c listen_addresses= -c unix_socket_directories=$ENGINE_DIR -c fsync=off ${ENGINE_OPTIONS:-}" start
	ENGINE_PSQL=(-h "$ENGINE_DIR" -U postgres -d postgres)
	psql -X -q "${ENGINE_PSQL[@]}" -c "CREATE EXTENSION mesh_outbox"
}

engine_server_stop()
{
	"${ENGINE_AS[@]}" "$ENGINE_BINDIR/pg_ctl" -s -m immediate -D "$ENGINE_DIR/data" stop || true
	rm -rf "$ENGINE_DIR"
}
