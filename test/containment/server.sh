# Sourced: a throw-away server with the extension, for tests that only need SQL.
#
#   server_start NAME PORT     sets CONNECTION (for psql); stopped at exit
#
# Needs test/lib/env.sh.  Listens on a socket in its own folder only.

server_start() {
	local base=$MO_BUILD/$1 port=$2
	server_bin=$("$MO_PG_CONFIG" --bindir)
	server_data=$base/data
	rm -rf "$base"
	user_dir "$base"
	as_user "$server_bin/initdb" -D "$server_data" -U postgres -E UTF8 \
		--locale=C -A trust -N > "$base/initdb.log"
	cat >> "$server_data/postgresql.conf" <<-EOF
		port = $port
		listen_addresses = ''
		unix_socket_directories = '$base'
		fsync = off
	EOF
	trap server_stop EXIT
	as_user "$server_bin/pg_ctl" -D "$server_data" -l "$base/log" -w start > /dev/null
	CONNECTION="host=$base port=$port user=postgres dbname=postgres"
	psql -Xqd "$CONNECTION" -c 'CREATE EXTENSION mesh_outbox'
}

server_stop() {
	as_user "$server_bin/pg_ctl" -D "$server_data" -w -m immediate stop > /dev/null 2>&1
}

# A Python with the packages these tests compare with; sets PYTHON.
python_with() {
	PYTHON=$MO_CACHE/schema-venv/bin/python3
	[ -x "$PYTHON" ] || python3 -m venv "$MO_CACHE/schema-venv"
	"$PYTHON" -m pip -q --disable-pip-version-check install "$@"
}
