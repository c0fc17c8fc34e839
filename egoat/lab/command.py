"""`egoat lab`: runs scenarios of the network laboratory, the same seed always to the same end."""

import argparse
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from egoat.lab.judge import Figures
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
    figures, violated, lines = [], 0, []
    for seed in range(first, first + options.runs):
        for name in names:
            result = run_scenario(name, seed, keep_trace=options.trace is not None)
            sys.stdout.write(result.report())
            figures.append(result.figures)
            violated += bool(result.faults)
            lines += [f'{{"run":"{name} {seed}"}}', *result.trace]
    sys.stdout.write(_total(figures, violated) if len(figures) > 1 else "")
    if options.trace is not None:
        options.trace.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 1 if violated else 0


def _total(figures: Sequence[Figures], violated: int) -> str:
    """All runs in a few lines."""
    return (
        f"\n{len(figures)} runs, {violated} violated\n"
        f"  said {sum(each.said for each in figures)}, shown {sum(each.shown for each in figures)}, "
        f"changes {sum(each.changes for each in figures)}, events {sum(each.events for each in figures)}\n"
        f"  dead links in use left {sum(each.noticed for each in figures)}, "
        f"the slowest after {max(each.slowest_noticed for each in figures)} ms; "
        f"the slowest message {max(each.slowest_seen for each in figures)} ms\n"
    )
