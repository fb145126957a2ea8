"""Analytic items: the list, and the editor in which their formulas are written."""
