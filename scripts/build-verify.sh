#!/usr/bin/env bash
# The same as `make build verify`.
set -euo pipefail
cd "$(dirname "$0")/.."
exec make build verify
