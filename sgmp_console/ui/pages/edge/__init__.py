"""The page of a house's edge."""
