#!/usr/bin/env bash
# The same as `make clean`.
set -euo pipefail
cd "$(dirname "$0")/.."
exec make clean
