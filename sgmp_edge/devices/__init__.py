"""Drivers, one short file each; a file that declares `DEVICE_TYPE` is found by itself (see ../contract/declarations.py)."""
