"""What a connection profile names beside the database: credentials of houses, directory, mail, broker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sgmp_console.cloud.aws import Aws
from sgmp_console.cloud.broker import Broker
from sgmp_console.cloud.cognito import UserPool
from sgmp_console.cloud.credentials import CredentialsService, LocalCredentials
from sgmp_console.cloud.directory import Directory, LocalDirectory
from sgmp_console.cloud.iot import IotCore
from sgmp_console.cloud.local_ca import AuthorityDamaged, LocalAuthority
from sgmp_console.cloud.mail import AskingMailer, Mailer, SmtpMailer
from sgmp_console.settings import Profile


@dataclass(frozen=True)
class Services:
    """None stands for what the profile does not name: `credentials` can't be made then, nothing is mailed or published."""

    credentials: CredentialsService | None
    directory: Directory
    mailer: Mailer | None
    broker: Broker | None


def open_services(
    profile: Profile, *, smtp_password: str = "", ask_smtp_password: Callable[[str], str] | None = None
) -> Services:
    """The services of a profile. Nothing is contacted yet. Raises AuthorityDamaged.

    `ask_smtp_password`: see AskingMailer; None: a password that is missing is an error.
    """
    smtp = mailer(profile, smtp_password)
    asking = AskingMailer(smtp, ask_smtp_password) if smtp and ask_smtp_password else smtp
    return Services(credentials(profile), directory(profile), asking, broker(profile))


def aws(profile: Profile) -> Aws:
    return Aws(profile.region, endpoint=profile.aws_endpoint, named_profile=profile.aws_profile)


def broker_address(profile: Profile) -> str:
    return f"{profile.broker_host}:{profile.broker_port}" if profile.broker_host else ""


def credentials(profile: Profile) -> CredentialsService | None:
    """Raises AuthorityDamaged where the profile's authority is not there: a console never founds one by mistake."""
    if profile.authority:
        folder = Path(profile.authority)
        if not (folder / "ca.key").exists():
            raise AuthorityDamaged(folder, "ca.key, its key, is missing (a PEM file of that name)")
        return LocalCredentials(LocalAuthority(folder), profile.deployment, broker_address(profile))
    if profile.region:
        authority = Path(profile.broker_ca) if profile.broker_ca else None
        return IotCore(
            aws(profile), profile.deployment, endpoint=broker_address(profile), authority=authority
        )
    return None


def directory(profile: Profile) -> Directory:
    """The user pool, where there is one."""
    return user_pool(profile) or LocalDirectory()


def user_pool(profile: Profile) -> UserPool | None:
    if not profile.user_pool_id:
        return None
    return UserPool(aws(profile), profile.user_pool_id, profile.user_pool_client_id)


def mailer(profile: Profile, password: str) -> SmtpMailer | None:
    if not profile.smtp_host:
        return None
    return SmtpMailer(
        profile.smtp_host,
        profile.smtp_sender,
        profile.smtp_port,
        user=profile.smtp_user,
        password=password,
        ca_file=profile.smtp_ca,
    )


def broker(profile: Profile) -> Broker | None:
    if not (profile.broker_host and profile.broker_cert):
        return None
    return Broker(
        profile.broker_host,
        profile.broker_port,
        Path(profile.broker_ca) if profile.broker_ca else None,
        Path(profile.broker_cert),
        Path(profile.broker_key),
    )
