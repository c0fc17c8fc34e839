"""This node's end of every link to another node."""
