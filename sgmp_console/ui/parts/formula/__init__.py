"""Where formulas are written: the editor with its completion and marks, and what is said about a formula."""
