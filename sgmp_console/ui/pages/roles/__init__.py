"""Roles: the list, and the matrix of their permissions."""
