"""What a connection profile names beside its database: certificate authority, broker, certificate, mail, AWS."""

from __future__ import annotations

import datetime
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509

from sgmp_console.cloud import services
from sgmp_console.cloud.local_ca import LocalAuthority
from sgmp_console.diagnosis import aws
from sgmp_console.diagnosis.steps import NotAsNeeded, Step, step
from sgmp_console.settings import Profile

_TIMEOUT_S = 10.0
_EXPIRY_WARNING = datetime.timedelta(days=30)
_AUTHORITY_WARNING = datetime.timedelta(days=365)
"""A new authority has to be carried to every house."""


def outside(profile: Profile, smtp_password: str) -> Iterator[Step]:
    """All that a profile names beside its database."""
    if profile.authority:
        yield authority_step(profile)
    if profile.region:
        yield from aws.aws_steps(profile)
    if profile.broker_cert:
        yield certificate_step(profile)
    yield from broker_steps(profile)
    yield mail_step(profile, smtp_password)


def authority_step(profile: Profile) -> Step:
    def look() -> str:
        service = services.credentials(profile)
        if service is None:
            raise NotAsNeeded(
                "The profile names neither an authority's folder nor an AWS region.", "Set one of them."
            )
        service.ready()
        authority = LocalAuthority(Path(profile.authority))
        revocations = x509.load_pem_x509_crl(authority.revocation_file.read_bytes())
        ends = x509.load_pem_x509_certificate(authority.ca_pem.encode()).not_valid_after_utc
        if ends < datetime.datetime.now(datetime.UTC) + _AUTHORITY_WARNING:
            raise NotAsNeeded(
                f"It ends on {ends:%Y-%m-%d}, and with it every certificate that it issued.",
                "Renew its certificate with the same key, and give brokers and edges the new one before that day.",
            )
        return f"It is valid until {ends:%Y-%m-%d}; {len(list(revocations))} certificates are revoked."

    return step("Certificate authority", look)


def broker_steps(profile: Profile) -> Iterator[Step]:
    """Whether the broker is there, is who it should be, and takes this console's messages."""
    if not profile.broker_host:
        yield Step(
            "Broker",
            None,
            "The profile names no broker.",
            "Without it, configurations can't be synchronized.",
        )
        return
    where = services.broker_address(profile)

    def reach() -> str:
        try:
            context = ssl.create_default_context(cafile=profile.broker_ca or None)
        except (OSError, ssl.SSLError) as error:
            raise NotAsNeeded(
                f"{profile.broker_ca} can't be used ({error}).",
                "Name the PEM file of the broker's authority.",
            ) from error
        try:
            with (
                socket.create_connection((profile.broker_host, profile.broker_port), _TIMEOUT_S) as plain,
                context.wrap_socket(plain, server_hostname=profile.broker_host) as secured,
            ):
                return (
                    f"{where} answers with {secured.version()}, and its certificate is valid for this name."
                )
        except ssl.SSLCertVerificationError as error:
            raise NotAsNeeded(
                f"The certificate of {where} can't be trusted ({error.verify_message}).",
                "Check the broker's name and the file of its authority.",
            ) from error
        except OSError as error:
            raise NotAsNeeded(
                f"{where} can't be reached ({error.strerror or error}).",
                "Check that the broker runs, and that no firewall is between.",
            ) from error

    reached = step("Broker", reach)
    yield reached
    if not reached.ok:
        return
    broker = services.broker(profile)
    if broker is None:
        yield Step("Broker rights", None, "The profile names no certificate of this console.")
        return

    def publish() -> str:
        # Taking away what is not there: nobody sees it, and only who may publish configurations can.
        broker.publish_retained(f"{profile.deployment}_config/check/devices", b"", _TIMEOUT_S)
        return "It takes this console's configurations."

    yield step(
        "Broker rights",
        publish,
        "Check the console's certificate and the access list (resources/mosquitto/acl, "
        "resources/aws/console_broker_policy.json).",
    )


def certificate_step(profile: Profile) -> Step:
    def look() -> str:
        try:
            certificate = x509.load_pem_x509_certificate(Path(profile.broker_cert).read_bytes())
        except (OSError, ValueError) as error:
            raise NotAsNeeded(
                f"{profile.broker_cert} is no certificate that can be read.", "Correct the profile."
            ) from error
        ends = certificate.not_valid_after_utc
        if ends < datetime.datetime.now(datetime.UTC) + _EXPIRY_WARNING:
            raise NotAsNeeded(
                f"It is valid until {ends:%Y-%m-%d} only.", "Issue another one for this console."
            )
        return f"It is valid until {ends:%Y-%m-%d}."

    return step("Console's certificate", look)


def mail_step(profile: Profile, password: str) -> Step:
    mailer = services.mailer(profile, password)
    if mailer is None:
        text = (
            "The profile names no mail server: the user pool mails initial passwords."
            if profile.user_pool_id
            else "The profile names no mail server: initial passwords are shown once instead."
        )
        return Step("Mail", None, text)

    def look() -> str:
        mailer.check()
        return f"{mailer.host}:{mailer.port} takes mail from this console."

    return step("Mail", look)
