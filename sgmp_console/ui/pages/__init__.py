"""The pages of the window, one folder each. A page imports no other page."""
