"""What tests of running parts share: a node of real processes, clients of both dialects, signed peers."""
