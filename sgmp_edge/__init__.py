"""The SGMP edge: polls a house's devices and publishes what they say. Stands alone on the Raspberry Pi."""

VERSION = "0.1.0"
