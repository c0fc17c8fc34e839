"""How this node tries its own TURN relay."""
