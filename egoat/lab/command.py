"""`egoat lab`: runs scenarios of the network laboratory, the same seed always to the same end."""

import argparse
import secrets
import sys
from pathlib import Path

from egoat.lab.scenarios import SCENARIOS
from egoat.lab.trial import run as run_scenario


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `egoat lab` takes."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="name the scenarios")
    one = actions.add_parser("run", help="run one scenario, or all of them")
    one.add_argument("scenario", choices=[*SCENARIOS, "all"], metavar="SCENARIO")
    one.add_argument("--seed", type=int, help="the chance of the run; a fresh one when absent")
    one.add_argument("--runs", type=int, default=1, help="how many seeds to run, counting up")
    one.add_argument("--trace", type=Path, help="write what the pure parts were asked and answered")


def run(options: argparse.Namespace) -> int:
    """Lists or runs; 1 when an invariant was violated."""
    if options.action == "list":
        for name, scenario in SCENARIOS.items():
            sys.stdout.write(f"{name:<36} {scenario.text}\n")
        return 0
    names = list(SCENARIOS) if options.scenario == "all" else [options.scenario]
    first = secrets.randbelow(10**9) if options.seed is None else options.seed
    violated, lines = 0, []
    for seed in range(first, first + options.runs):
        for name in names:
            result = run_scenario(name, seed, keep_trace=options.trace is not None)
            sys.stdout.write(result.report())
            violated += bool(result.faults)
            lines += [f'{{"run":"{name} {seed}"}}', *result.trace]
    if options.trace is not None:
        options.trace.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 1 if violated else 0
