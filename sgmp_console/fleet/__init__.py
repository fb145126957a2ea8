"""The operator's acts, one function each."""
