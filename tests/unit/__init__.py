"""Tests of one module at a time: no processes, no sockets, no real sleep."""
