"""How the edge becomes a service of the system."""
