"""Who changed and did what: the list of it."""
