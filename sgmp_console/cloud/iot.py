"""Credentials of houses in AWS IoT Core.

A house is a thing named as its client id, with certificates attached to it that have the deployment's edge policy.
The private key is made here and AWS never sees it: AWS is given the certificate to register. Its id therefore is known
before AWS is asked, so that a call whose answer was lost can be looked after, which AWS's own CreateKeysAndCertificate
would not allow. AWS takes a certificate of any issuer in this way; ours signs this one and is forgotten.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sgmp_console.cloud.aws import Aws, AwsRejected, calling
from sgmp_console.cloud.credentials import houses_among
from sgmp_console.errors import SgmpError, Unavailable, UserError
from sgmp_edge.contract import HouseCredentials, client_id

_CERTIFICATE_DAYS = 20 * 365  # a Pi is left alone for years, and nothing renews its certificate
_CLOCK_SLACK = datetime.timedelta(days=1)
_GONE = "ResourceNotFoundException"
_STILL_ATTACHED = frozenset({"DeleteConflictException", "InvalidRequestException"})
_DETACH_ATTEMPTS = 6
_DETACH_PAUSE_S = 0.5
"""AWS detaches within seconds, not at once."""


def edge_policy(deployment: str) -> str:
    """The name of the IoT policy that edges have."""
    return f"{deployment}_edge"


class IotCore:
    """The credentials service of a deployment in AWS IoT Core.

    `endpoint`: the broker, if not AWS's own. `authority`: the PEM file of whom its certificate is from, which edges are
    given along; without it they trust whom their system trusts.
    """

    def __init__(
        self, aws: Aws, deployment: str, *, endpoint: str = "", authority: Path | None = None
    ) -> None:
        self._aws = aws
        self._deployment = deployment
        self._endpoint = endpoint
        self._authority = authority
        self._root_ca_pem: str | None = None

    def ready(self) -> None:
        """Also learns where the broker is. Raises UserError where the authority's file can't be read."""
        if not self._endpoint:
            with calling("give the address of its MQTT broker"):
                self._endpoint = str(
                    self._iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
                )
        if self._authority is not None and self._root_ca_pem is None:
            try:
                self._root_ca_pem = self._authority.read_text("ascii")
            except (OSError, UnicodeDecodeError) as error:
                raise UserError(
                    f"{self._authority}, the broker's authority, can't be read. Correct its path in the connection profile."
                ) from error

    def issue(self, house_id: int) -> HouseCredentials:
        """See CredentialsService. Raises UserError where the edge policy does not exist."""
        thing = client_id(self._deployment, house_id)
        self.ready()
        made = _make(thing)
        arn, certificate_id = "", made.certificate_id
        try:
            with calling(f"make the thing {thing}"):
                self._iot.create_thing(thingName=thing)
            # Let in at the very end: what was left half-made lets nobody in.
            arn = self._register(made)
            certificate_id = arn.rpartition("/")[2]
            self._attach_policy(arn)
            with calling(f"attach the certificate to {thing}"):
                self._iot.attach_thing_principal(thingName=thing, principal=arn)
            with calling("activate the certificate"):
                self._iot.update_certificate(certificateId=certificate_id, newStatus="ACTIVE")
        except BaseException as error:
            self._undo(certificate_id, error)
            raise
        return HouseCredentials(
            certificate_pem=made.certificate_pem,
            private_key_pem=made.private_key_pem,
            public_key_pem=made.public_key_pem,
            root_ca_pem=self._root_ca_pem,
            endpoint=self._endpoint,
            client_id=thing,
            house_id=house_id,
            deployment=self._deployment,
            certificate_arn=arn,
            certificate_id=certificate_id,
        )

    def valid(self, house_id: int) -> list[str]:
        found = self._certificates(client_id(self._deployment, house_id))
        return [
            certificate["certificateId"]
            for certificate in sorted(found, key=lambda one: one["creationDate"])
            if certificate["status"] == "ACTIVE"
        ]

    def revoke_others(self, house_id: int, keep: str | None) -> None:
        thing = client_id(self._deployment, house_id)
        attached = {certificate["certificateId"] for certificate in self._certificates(thing)}
        stranded = {one for one, name in self._inactive().items() if name == thing}
        for certificate_id in (attached | stranded) - {keep}:
            self._remove_certificate(certificate_id)

    def remove(self, house_id: int) -> None:
        self.revoke_others(house_id, None)
        thing = client_id(self._deployment, house_id)
        with calling(f"delete the thing {thing}"), _unless_gone():
            _once_detached(lambda: self._iot.delete_thing(thingName=thing))

    def houses(self) -> set[int]:
        with calling("list the things"):
            pages = self._iot.get_paginator("list_things").paginate()
            names = {thing["thingName"] for page in pages for thing in page["things"]}
        return houses_among(self._deployment, names | set(self._inactive().values()))

    def what_remains(self, house_id: int) -> str:
        return f"the thing {client_id(self._deployment, house_id)} and its certificates in AWS IoT Core"

    @property
    def _iot(self) -> Any:
        return self._aws.client("iot")

    def _register(self, made: _Made) -> str:
        """The certificate's ARN; registered already (by an attempt whose answer was lost) is as good."""
        with calling("register the certificate"):
            try:
                answer = self._iot.register_certificate_without_ca(
                    certificatePem=made.certificate_pem, status="INACTIVE"
                )
                return str(answer["certificateArn"])
            except self._iot.exceptions.ResourceAlreadyExistsException:
                return str(self._describe(made.certificate_id)["certificateArn"])

    def _attach_policy(self, arn: str) -> None:
        policy = edge_policy(self._deployment)
        try:
            with calling(f"attach the policy {policy}"):
                self._iot.attach_policy(policyName=policy, target=arn)
        except AwsRejected as error:
            if error.code != _GONE:
                raise
            raise UserError(
                f"AWS IoT Core has no policy {policy}, which lets edges publish. Make it from "
                "resources/aws/edge_policy.json; `sgmp-console check deployment` lists what else is missing."
            ) from error

    def _certificates(self, thing: str) -> list[Any]:
        """What AWS knows of the certificates attached to a thing; none where there is no such thing."""
        found = []
        with calling(f"list the certificates of {thing}"), _unless_gone():
            pages = self._iot.get_paginator("list_thing_principals").paginate(thingName=thing)
            for arn in [arn for page in pages for arn in page["principals"]]:
                with _unless_gone():
                    found.append(self._describe(arn.rpartition("/")[2]))
        return found

    def _inactive(self) -> dict[str, str]:
        """Common names of the certificates that let nobody in, by id.

        Among them is what an attempt left behind that ended between registering and attaching a certificate, or between
        detaching and deleting it: no thing leads to it.
        """
        found = {}
        with calling("list the certificates"):
            for page in self._iot.get_paginator("list_certificates").paginate():
                for certificate in page["certificates"]:
                    if certificate["status"] == "INACTIVE":
                        with _unless_gone():
                            pem = self._describe(certificate["certificateId"])["certificatePem"]
                            found[certificate["certificateId"]] = _common_name(pem)
        return found

    def _describe(self, certificate_id: str) -> Any:
        return self._iot.describe_certificate(certificateId=certificate_id)["certificateDescription"]

    def _remove_certificate(self, certificate_id: str) -> None:
        """Deactivate, detach from everything, delete: in the order in which AWS allows it, from wherever it stands."""
        with calling("revoke a certificate"), _unless_gone():
            certificate = self._describe(certificate_id)
            arn = certificate["certificateArn"]
            if certificate["status"] == "ACTIVE":
                self._iot.update_certificate(certificateId=certificate_id, newStatus="INACTIVE")
            for page in self._iot.get_paginator("list_attached_policies").paginate(target=arn):
                for policy in page["policies"]:
                    with _unless_gone():
                        self._iot.detach_policy(policyName=policy["policyName"], target=arn)
            for page in self._iot.get_paginator("list_principal_things").paginate(principal=arn):
                for thing in page["things"]:
                    with _unless_gone():
                        self._iot.detach_thing_principal(thingName=thing, principal=arn)
            _once_detached(lambda: self._iot.delete_certificate(certificateId=certificate_id))

    def _undo(self, certificate_id: str, cause: BaseException) -> None:
        """Remove the certificate that `cause` left half-made. Raises Unavailable where that fails, too."""
        try:
            self._remove_certificate(certificate_id)
        except SgmpError as error:
            raise Unavailable(
                f"{cause} An unused certificate {certificate_id} could not be removed from AWS IoT Core ({error}); nobody "
                "has its key. Delete it there."
            ) from cause


@dataclass(frozen=True)
class _Made:
    certificate_pem: str
    private_key_pem: str
    public_key_pem: str
    certificate_id: str

    def __repr__(self) -> str:
        return f"_Made({self.certificate_id!r}, ...)"


def _make(common_name: str) -> _Made:
    """A key and its certificate, signed by an issuer that is forgotten."""
    key, issuer = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "SGMP console")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SLACK)
        .not_valid_after(now + datetime.timedelta(days=_CERTIFICATE_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False
        )
        .sign(issuer, hashes.SHA256())
    )
    return _Made(
        certificate_pem=certificate.public_bytes(serialization.Encoding.PEM).decode("ascii"),
        private_key_pem=key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,  # the one form that awscrt takes on every system
            serialization.NoEncryption(),
        ).decode("ascii"),
        public_key_pem=key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode("ascii"),
        certificate_id=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def _common_name(certificate_pem: str) -> str:
    try:
        subject = x509.load_pem_x509_certificate(certificate_pem.encode()).subject
    except ValueError:
        return ""  # not one of ours, whatever it is
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


@contextmanager
def _unless_gone() -> Iterator[None]:
    """What is gone already needs no removing."""
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] != _GONE:
            raise


def _once_detached(delete: Callable[[], object]) -> None:
    """Delete, waiting a little where AWS has not finished detaching yet."""
    from botocore.exceptions import ClientError

    for attempt in range(1, _DETACH_ATTEMPTS + 1):
        try:
            delete()
        except ClientError as error:
            if error.response["Error"]["Code"] not in _STILL_ATTACHED or attempt == _DETACH_ATTEMPTS:
                raise
            time.sleep(_DETACH_PAUSE_S * attempt)
        else:
            return
