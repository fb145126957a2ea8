"""All houses at once, the worst first."""
