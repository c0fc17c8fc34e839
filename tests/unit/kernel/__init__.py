"""What at least two services stand on."""
