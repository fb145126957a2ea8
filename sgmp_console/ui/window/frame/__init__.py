"""What is around every page: rail, top bar, status bar, banner."""
