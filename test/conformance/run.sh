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
archive=.cache/jsonschema-$version.tar.gz
if [ ! -f "$archive" ]; then
	mkdir -p .cache/download
	python3 -m pip download -q --no-deps --no-binary :all: --no-build-isolation \
		-d .cache/download "jsonschema==$version" >/dev/null 2>&1 ||
		python3 -m pip download -q --no-deps --no-binary :all: -d .cache/download "jsonschema==$version"
	mv ".cache/download/jsonschema-$version.tar.gz" "$archive"
fi
echo "$sha256  $archive" | sha256sum --check --quiet
if [ ! -d ".cache/jsonschema-$version/json" ]; then
	tar -xzf "$archive" -C .cache "jsonschema-$version/json"
fi
engine_server_start conformance
python3 test/conformance/suite.py ".cache/jsonschema-$version/json" "${ENGINE_PSQL[@]}"
