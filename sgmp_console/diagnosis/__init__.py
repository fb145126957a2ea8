"""Diagnoses a connection, a deployment or a house step by step: what was found, or which part failed and what to do."""

from sgmp_console.diagnosis.checks import as_text, connection, deployment, remove_leftovers
from sgmp_console.diagnosis.house import HouseDiagnosis, house
from sgmp_console.diagnosis.steps import NotAsNeeded, Step

__all__ = [
    "HouseDiagnosis",
    "NotAsNeeded",
    "Step",
    "as_text",
    "connection",
    "deployment",
    "house",
    "remove_leftovers",
]
