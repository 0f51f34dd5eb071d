#!/bin/sh
# Write the locks anew: hashes, no host names, nothing younger than 14 days but what must be.
# psycopg 3.3.9 is exempt: it mends a hang on half-open connections.
# Both are installed into one environment, so what is in both locks is of one version.
set -eu
cd "$(dirname "$0")/.."
before=${1:-$(date -u -d '14 days ago' +%Y-%m-%d)}
same=
for extra in dev all; do
    uv pip compile --quiet pyproject.toml --extra "$extra" --universal --python-version 3.11 \
        --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
        --exclude-newer "$before" \
        --exclude-newer-package "psycopg=2026-11-13" \
        --exclude-newer-package "psycopg-binary=2026-11-13" \
        $same --output-file "locks/$extra.lock"
    same="--constraints locks/dev.lock"
done
