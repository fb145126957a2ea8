"""The formula language: grammar -> tree -> SymPy analysis -> NumPy."""
