#!/usr/bin/env bash
# Runs the tests: --quick for the fast ones, --skip-e2e without composed node and browser, --interactive to be asked.
set -euo pipefail
cd "$(dirname "$0")/.."
target=test
for flag in "$@"; do
    case $flag in
        --quick) target=quick-test ;;
        --skip-e2e) target=no-e2e-test ;;
        --interactive)
            read -r -p "Which tests: quick, no-e2e, all? " answer
            case $answer in
                quick) target=quick-test ;;
                no-e2e) target=no-e2e-test ;;
                all) target=test ;;
                *) echo "run-tests: quick, no-e2e or all" >&2; exit 2 ;;
            esac ;;
        *) echo "usage: run-tests.sh [--quick] [--skip-e2e] [--interactive]" >&2; exit 2 ;;
    esac
done
exec make "$target"
