#!/usr/bin/env bash
# Marker and SQL validation of running services: scripts/validate.sh --proof bootstrap,ingest,attach,evaluation,lifecycle
# [--window-minutes N] [--log-file F]… [--allow-dirty]. One line per check, a RESULT line, an exit code
# (docs/exit-codes.md). The judging is `penstock validate`; this finds the binary that was built here.
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
for profile in release debug; do
  penstock="${CARGO_TARGET_DIR:-$root/target}/$profile/penstock"
  if [ -x "$penstock" ]; then exec "$penstock" validate "$@"; fi
done
echo "validate: no penstock binary; next: cargo build --release" >&2
exit 2
