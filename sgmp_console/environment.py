"""Names of the environment variables that hold secrets: on a command line, every user of the machine would see them."""

from __future__ import annotations

DATABASE_URL = "SGMP_DATABASE_URL"
"""The database's address, with user and password."""

SMTP_PASSWORD = "SGMP_SMTP_PASSWORD"  # noqa: S105 - the name of an environment variable
"""The password of the mail server, for services and where there is no keyring."""

SHARE_GROUP = "SGMP_SHARE_GROUP"
"""The group in which several ingests share the messages: who knows its name could take part."""
