"""A simulated house whose devices speak the real HTTP protocols; see README.md here."""

from sgmp_console.demo.simulator.house import Energy, House, State

__all__ = ["Energy", "House", "State"]
