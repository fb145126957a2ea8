"""Bulk work from CSV files: choosing one, seeing what it would do, having it done."""
