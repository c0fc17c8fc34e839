#!/usr/bin/env bash
# The same as `make quick-test`.
set -euo pipefail
cd "$(dirname "$0")/.."
exec make quick-test
