"""Dialogs and their base classes that several pages use."""
