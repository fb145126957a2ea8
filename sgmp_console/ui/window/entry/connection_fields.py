"""What a connection profile consists of, as the form shows it, and what can be wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sgmp_console.errors import UserError
from sgmp_console.settings import Profile, profile_problems

Values = dict[str, Any]
"""A profile as it is typed, by the names of its fields."""


@dataclass(frozen=True)
class Group:
    """Fields that belong together: (name, label, help). Folded away while all of them are as in a new connection."""

    title: str
    purpose: str
    fields: tuple[tuple[str, str, str], ...]


GROUPS = (
    Group(
        "Deployment",
        "",
        (
            ("name", "Name", "What this connection is called on this computer."),
            (
                "database_url",
                "Database address",
                "postgresql://host:5432/sgmp. Several hosts: postgresql://first,second/sgmp. "
                "A certificate authority of your own: ?sslrootcert=FILE at the end.",
            ),
            ("deployment", "Deployment", "The name that the database was set up with, usually sgmp."),
        ),
    ),
    Group(
        "Broker",
        "Needed to synchronize configurations",
        (
            (
                "broker_host",
                "Broker",
                "Host of the MQTT broker. Empty: this console does not synchronize configurations.",
            ),
            ("broker_port", "Broker port", ""),
            (
                "broker_ca",
                "CA certificate of the broker",
                "PEM file. Empty: the authorities that this computer trusts.",
            ),
            ("broker_cert", "Client certificate", "PEM file of this console."),
            ("broker_key", "Client key", "PEM file of this console."),
        ),
    ),
    Group(
        "Credentials of houses",
        "Needed to create houses, without AWS",
        (("authority", "Folder of the certificate authority", "Empty with AWS IoT Core."),),
    ),
    Group(
        "AWS",
        "Needed for IoT Core and Cognito",
        (
            ("region", "Region", "Such as eu-central-1. Empty without AWS."),
            (
                "aws_profile",
                "AWS profile",
                "One of the AWS profiles of this computer. Empty: the default one.",
            ),
            ("aws_endpoint", "AWS endpoint", "A server in place of AWS. Usually empty."),
            ("user_pool_id", "User pool ID", "Of Cognito. Empty: accounts are in the database only."),
            ("user_pool_client_id", "App client ID", "Of the user pool."),
        ),
    ),
    Group(
        "Mail",
        "Needed to mail initial passwords, without Cognito",
        (
            ("smtp_host", "Mail server", "Empty: initial passwords are shown once, or mailed by Cognito."),
            ("smtp_port", "Mail port", ""),
            ("smtp_sender", "Sender", "The address that mails come from."),
            ("smtp_user", "Mail user", "Empty where the server asks for none."),
            (
                "smtp_ca",
                "CA certificate of the mail server",
                "PEM file. Empty: the authorities that this computer trusts.",
            ),
        ),
    ),
)
NUMBERS = ("broker_port", "smtp_port")
FILES = ("broker_ca", "broker_cert", "broker_key", "smtp_ca")
FOLDERS = ("authority",)
NEW: Values = {one.name: getattr(Profile, one.name, "") for one in fields(Profile)}


def problems(values: Values, other_names: Sequence[str]) -> dict[str, str]:
    """What is wrong with what was typed, by field; besides what a profile refuses, what this computer does not have."""
    from sgmp_console.store import checked_deployment
    from sgmp_console.store.connecting import parameters_of

    found: dict[str, str] = {}
    for check, field in (
        (lambda: parameters_of(values["database_url"]), "database_url"),
        (lambda: checked_deployment(values["deployment"]), "deployment"),
    ):
        try:
            check()
        except UserError as error:
            found[field] = str(error)
    if "://" not in values["database_url"]:
        found["database_url"] = "A database address looks like postgresql://host:5432/sgmp."
    try:
        found |= {name: text[:1].upper() + text[1:] for name, text in profile_problems(values).items()}
    except ValueError:
        found.setdefault("database_url", "An address here can't be read.")
    if not values["name"]:
        found["name"] = "A connection needs a name."
    elif values["name"] in other_names:
        found["name"] = "Another connection has this name."
    for name in FILES:
        if values[name] and not Path(values[name]).is_file():
            found[name] = "This file does not exist."
    if values["authority"] and not (Path(values["authority"]) / "ca.key").is_file():
        found["authority"] = "This folder holds no authority (ca.key)."
    if bool(values["broker_cert"]) != bool(values["broker_key"]):
        missing = "broker_key" if values["broker_cert"] else "broker_cert"
        found.setdefault(missing, "Certificate and key go together.")
    return found
