"""The services of a node and the kernel they stand on."""
