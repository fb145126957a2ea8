"""The Home dashboard."""
