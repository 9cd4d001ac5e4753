#!/usr/bin/env bash
# Runs the official JSON-Schema-Test-Suite (both drafts, all of it) against a
# build of this tree on a server of its own.  The suite comes with the source
# archive of PyPI's jsonschema, by version and hash; it is kept in .cache/.
#
#   test/conformance/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
. test/lib/engine_server.sh

version=4.26.0
sha256=0c26707e2efad8aa1bfc5b7ce170f3fccc2e4918ff85989ba9ffa9facb2be326
archive=$MO_CACHE/jsonschema-$version.tar.gz
if [ ! -f "$archive" ]; then
	mkdir -p "$MO_CACHE/download"
	[ -x "$MO_CACHE/engine-venv/bin/pip" ] ||
		/usr/bin/python3 -m venv "$MO_CACHE/engine-venv"
	"$MO_CACHE/engine-venv/bin/pip" download -q --disable-pip-version-check --no-deps --no-binary :all: \
		-d "$MO_CACHE/download" "jsonschema==$version"
	mv "$MO_CACHE/download/jsonschema-$version.tar.gz" "$archive"
fi
echo "$sha256  $archive" | sha256sum --check --quiet
if [ ! -d "$MO_CACHE/jsonschema-$version/json" ]; then
	tar -xzf "$archive" -C "$MO_CACHE" "jsonschema-$version/json"
fi
engine_server_start conformance
python3 test/conformance/suite.py "$MO_CACHE/jsonschema-$version/json" "${ENGINE_PSQL[@]}"
