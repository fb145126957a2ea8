"""The devices of a house: their list, the dialog they are made in, and their test."""
