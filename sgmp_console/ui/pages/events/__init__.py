"""What a house's devices and edge reported, and what was wrong with it, by time."""
