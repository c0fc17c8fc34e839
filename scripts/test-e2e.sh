#!/usr/bin/env bash
# The same as `make e2e-test`.
set -euo pipefail
cd "$(dirname "$0")/.."
exec make e2e-test
