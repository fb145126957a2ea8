"""Make the server of a deployment of one's own, and credentials of its houses there."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from sgmp_console.commands import OK, backups
from sgmp_console.commands.arguments import DEFAULT_DEPLOYMENT, Parsers, add_command, add_group, integer
from sgmp_console.environment import DATABASE_URL, SMTP_PASSWORD
from sgmp_console.errors import UserError


def add(parsers: Parsers) -> None:
    acts = add_group(
        parsers,
        "server",
        "make, back up and restore a server of your own; credentials of its houses",
        "See docs/deployment.md.",
    )
    parser = add_command(
        acts,
        "init",
        init,
        "make what a server needs; repeatable",
        "Make the certificate authority, certificates, broker configuration, database, first administrator, systemd "
        "units, a Compose file and connection files for laptops. What is there stays: a second run changes nothing. The "
        f"address of the database's owner, with user and password, is in {DATABASE_URL}; the mail server's password in "
        f"{SMTP_PASSWORD}.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="for example /etc/sgmp")
    parser.add_argument(
        "--host", required=True, metavar="NAME", help="where laptops and edges reach this server"
    )
    parser.add_argument(
        "--deployment", default=DEFAULT_DEPLOYMENT, help="name of the deployment (%(default)s)"
    )
    parser.add_argument("--broker-port", type=integer(1, 65_535), default=8883, metavar="PORT")
    parser.add_argument(
        "--broker-user", default="mosquitto", metavar="USER", help="who runs Mosquitto (%(default)s)"
    )
    parser.add_argument(
        "--database",
        default="",
        metavar="HOST:PORT/NAME",
        help="as laptops reach the database; otherwise at --host, with port and name of the owner's address",
    )
    parser.add_argument(
        "--authority", type=Path, metavar="FOLDER", help="take an authority made elsewhere: ca.crt and ca.key"
    )
    parser.add_argument(
        "--laptop", action="append", default=[], metavar="NAME", help="a connection file; repeat for several"
    )
    parser.add_argument("--admin", default="", metavar="EMAIL", help="the first administrator")
    parser.add_argument("--admin-name", default="", metavar="NAME")
    for option in ("server", "from", "user"):
        parser.add_argument(f"--mail-{option}", default="", metavar=option.upper(), help="as of the watch")
    parser.add_argument(
        "--take-over", action="store_true", help="replace the server that uses the database until now"
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, and do nothing")
    parser = add_command(
        acts,
        "credentials",
        credentials,
        "make or revoke the credentials of a house",
        "Make new credentials for a house, revoke its older ones, and print what its Raspberry Pi is given. They are "
        "shown only now.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of `server init`")
    parser.add_argument("--house", required=True, metavar="NAME")
    parser.add_argument("--revoke", action="store_true", help="make none, and revoke those that it has")
    backups.add(acts)


def init(arguments: argparse.Namespace) -> int:
    from sgmp_console.cloud.mail import submission
    from sgmp_console.commands.opening import refused_user
    from sgmp_console.server import init as making

    if arguments.mail_server:
        submission(arguments.mail_server, arguments.mail_from)
    elif arguments.mail_from or arguments.mail_user:
        raise UserError("--mail-from and --mail-user go with --mail-server.")
    mail = [
        text
        for option in ("server", "from", "user")
        if (value := getattr(arguments, f"mail_{option}"))
        for text in (f"--mail-{option}", value)
    ]
    server = making.Server(
        host=arguments.host,
        deployment=arguments.deployment,
        broker_port=arguments.broker_port,
        database=arguments.database,
        laptops=tuple(arguments.laptop),
        admin_email=arguments.admin,
        admin_name=arguments.admin_name,
        mail=tuple(mail),
    )
    steps = making.init(
        arguments.folder,
        server,
        owner_url=os.environ.get(DATABASE_URL, ""),
        smtp_password=os.environ.get(SMTP_PASSWORD, ""),
        authority=arguments.authority,
        broker_user=arguments.broker_user,
        take_over=arguments.take_over,
        dry_run=arguments.dry_run,
    )
    outcomes = set()
    with refused_user():
        for step in steps:
            outcomes.add(step.outcome)
            print(f"{step.outcome.value:14}{step.what}{step.detail and ': '}{step.detail}", flush=True)
    if outcomes == {making.Outcome.UNCHANGED}:
        print("Nothing was changed.")
    return OK


def credentials(arguments: argparse.Namespace) -> int:
    from sgmp_console import store
    from sgmp_console.cloud.credentials import LocalCredentials
    from sgmp_console.cloud.local_ca import LocalAuthority
    from sgmp_console.fleet import houses
    from sgmp_console.server import init as making
    from sgmp_edge import contract

    server = making.load(arguments.folder)
    url = os.environ.get(DATABASE_URL) or making.owner_url(arguments.folder)
    if not url:
        raise UserError("This server has no database yet. Run `sgmp-console server init` to its end first.")
    authority = LocalAuthority(arguments.folder / "authority")
    service = LocalCredentials(authority, server.deployment, f"{server.host}:{server.broker_port}")
    database = store.Database.connect(url, application="sgmp-server")
    try:
        with database.begin() as connection:
            house = store.houses.by_name(connection, arguments.house)
        if arguments.revoke:
            houses.revoke_others(database, service, house.house_id, None)
            print(f"The credentials of {house.name} are revoked. sgmp-revocation has its connection end.")
            return OK
        renewed = houses.renew_credentials(database, service, house.house_id)
    finally:
        database.dispose()
    print(contract.dump_credentials(renewed.credentials))
    if renewed.still_valid:
        print(
            "The older credentials could not be revoked and are still valid. Run this again.", file=sys.stderr
        )
    return OK
