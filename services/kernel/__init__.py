"""What at least two services stand on; layers run > log > bus > wire > model."""
