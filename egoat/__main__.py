"""`egoat`: one subcommand per file, imported only when it is the one."""

import argparse
import importlib
import sys

from services.kernel.run.serve import refuse
from services.kernel.run.settings import StartError

COMMANDS = {
    "up": "run a whole node on this machine, without Docker",
    "secrets": "make a node's secret and key where they are missing",
    "lab": "try the ladder in a simulated network, repeatable by seed",
    "protocol": "write the files generated from the wire types",
}


def main() -> int:
    """Runs the named command; returns its exit code (2: wrong use, or it could not start)."""
    parser = argparse.ArgumentParser(prog="egoat", description="E-Goat: chat that gets through.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text.capitalize() + ".")
        if sys.argv[1:2] == [name]:
            module = importlib.import_module(f"egoat.{name}")
            module.add_arguments(sub)
            sub.set_defaults(run=module.run)
    options = parser.parse_args()
    try:
        code: int = options.run(options)
    except (StartError, OSError) as problem:
        refuse("egoat", problem)
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
