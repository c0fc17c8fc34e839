"""What travels: frames, hints, their sizes and their encoding."""
