"""What is used is not deleted: the one sentence that says so, before the question and when it is tried."""

from __future__ import annotations

from collections.abc import Collection, Mapping


def refusal(users: Mapping[str, Collection[str]]) -> str:
    """Why none of these was deleted: the names of the analytic items that use each; "" where nothing is used."""
    used = [f"{name} is used by {', '.join(items)}" for name, items in users.items() if items]
    if not used:
        return ""
    return f"Nothing was deleted: {'; '.join(used)}. Change or delete these analytic items first."
