"""The network laboratory: the production ladder, outbox and merge in a simulated world, repeatable by seed."""

from egoat.lab.command import add_arguments, run

__all__ = ["add_arguments", "run"]
