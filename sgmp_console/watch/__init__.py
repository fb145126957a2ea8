"""The watch: opens and closes findings by rules, in one place, and notifies people of them (docs/findings.md)."""
