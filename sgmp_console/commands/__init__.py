"""The commands of `sgmp-console`, a module for each group: their arguments, and what they do.

A function of a command returns its exit code, and imports what it needs when it is run, so that `--help` and small
commands are quick.
"""

OK, FAILED, USAGE = 0, 1, 2
"""Exit codes."""


class Usage(Exception):
    """Invalid arguments, or an invalid combination of them; the text says which."""
