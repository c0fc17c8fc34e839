"""The network laboratory: the production ladder, outbox and merge in a simulated world, repeatable by seed."""
