#!/usr/bin/env bash
# Makes a private, relocated copy of an installed PostgreSQL, so that building
# and testing never writes into the host's installation.
#
#   test/lib/private_pg.sh DIR [MAJOR]     prints the path of the copy's pg_config
#
# PostgreSQL finds its libraries and share files relative to its executables,
# so a copy that keeps Debian's layout (lib/postgresql/N, share/postgresql/N,
# include/postgresql) under another prefix is a complete installation.
set -euo pipefail
dir=$1
major=${2:-15}
if [ ! -x "$dir/lib/postgresql/$major/bin/pg_config" ]; then
	mkdir -p "$dir/lib/postgresql" "$dir/share/postgresql" "$dir/include"
	cp -a "/usr/lib/postgresql/$major" "$dir/lib/postgresql/"
	cp -a "/usr/share/postgresql/$major" "$dir/share/postgresql/"
	cp -a /usr/share/postgresql-common "$dir/share/" 2>/dev/null || true
	ln -sfn /usr/include/postgresql "$dir/include/postgresql"
	chmod -R go+rX "$dir"
fi
echo "$dir/lib/postgresql/$major/bin/pg_config"
