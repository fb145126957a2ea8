"""A simulated house whose devices speak the real HTTP protocols."""
