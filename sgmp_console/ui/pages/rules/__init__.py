"""Rules of operators."""
