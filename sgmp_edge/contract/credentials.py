"""A house's credentials: what the console shows once and `install_certs.py` takes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .addresses import endpoint_of
from .json_text import parse_json
from .topics import is_deployment
from .vocabulary import ContractError

MAX_TERMINAL_LINE = 4000
"""Characters; a terminal cuts a pasted line at 4,095, so no line of a printed document may come near."""


@dataclass(frozen=True)
class HouseCredentials:
    """What lets one house's edge into the broker. `private_key_pem` is a secret: never log or format it."""

    certificate_pem: str
    private_key_pem: str
    public_key_pem: str = ""
    root_ca_pem: str | None = None
    """The broker's CA certificates; None: the broker's certificate is checked against the system's."""
    endpoint: str | None = None
    """The broker as `host` or `host:port`; None: it is set in the edge's config.py."""
    client_id: str | None = None
    house_id: int | None = None
    deployment: str | None = None
    certificate_arn: str | None = None
    certificate_id: str | None = None

    def __repr__(self) -> str:
        return f"HouseCredentials(client_id={self.client_id!r}, endpoint={self.endpoint!r}, ...)"


def dump_credentials(credentials: HouseCredentials) -> str:
    """The JSON shown once when a house is created, which `install_certs.py` takes.

    The keys are those of AWS IoT Core's CreateKeysAndCertificate and ours beside them: `{"certificateArn",
    "certificateId", "certificatePem", "keyPair": {"PublicKey", "PrivateKey"}, "rootCa", "endpoint", "clientId",
    "houseId", "deployment"}`; what is None or empty is left out. Printed over several lines, none longer than a
    terminal takes: several CA certificates become a list.
    """
    authority: str | list[str] | None = credentials.root_ca_pem
    if (
        credentials.root_ca_pem is not None
        and len(json.dumps(credentials.root_ca_pem)) > MAX_TERMINAL_LINE - 100
    ):
        authority = _PEM_CERTIFICATE.findall(credentials.root_ca_pem)
    document = {
        "certificateArn": credentials.certificate_arn,
        "certificateId": credentials.certificate_id,
        "certificatePem": credentials.certificate_pem,
        "keyPair": {"PublicKey": credentials.public_key_pem, "PrivateKey": credentials.private_key_pem},
        "rootCa": authority,
        "endpoint": credentials.endpoint,
        "clientId": credentials.client_id,
        "houseId": credentials.house_id,
        "deployment": credentials.deployment,
    }
    return json.dumps({key: value for key, value in document.items() if value is not None}, indent=2)


def parse_credentials(text: str) -> HouseCredentials:
    """Read the document of `dump_credentials`, or what AWS IoT Core answers, by shape alone.

    Whether key and certificate belong together is for `install_certs.py` to find out. Raises ContractError; its
    text never holds any of the document's values.
    """
    document = parse_json(text, "the credentials are")
    if not isinstance(document, dict):
        raise ContractError("the credentials must be a JSON object, from { to }")
    pair = document.get("keyPair")
    if not isinstance(pair, dict):
        raise ContractError("`keyPair` is missing in the credentials; copy the whole text, from { to }")
    house_id = document.get("houseId")
    if house_id is not None and (not isinstance(house_id, int) or isinstance(house_id, bool) or house_id < 1):
        raise ContractError("`houseId` must be a whole number from 1")
    authority = document.get("rootCa")
    if isinstance(authority, list) and all(isinstance(part, str) for part in authority):
        authority = "\n".join(part.strip() for part in authority) + "\n"
    root_ca = _pem("rootCa", authority, "CERTIFICATE") if authority is not None else None
    endpoint = _optional_text(document, "endpoint")
    if endpoint is not None:
        endpoint_of(endpoint)
    deployment = _optional_text(document, "deployment")
    if deployment is not None and not is_deployment(deployment):
        raise ContractError("the credentials name a deployment that there can't be")
    return HouseCredentials(
        certificate_pem=_pem("certificatePem", document.get("certificatePem"), "CERTIFICATE"),
        private_key_pem=_pem("keyPair.PrivateKey", pair.get("PrivateKey"), "PRIVATE KEY"),
        public_key_pem=pair["PublicKey"] if isinstance(pair.get("PublicKey"), str) else "",
        root_ca_pem=root_ca,
        endpoint=endpoint,
        client_id=_optional_text(document, "clientId"),
        house_id=house_id,
        deployment=deployment,
        certificate_arn=_optional_text(document, "certificateArn"),
        certificate_id=_optional_text(document, "certificateId"),
    )


_PEM_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)


def _pem(key: str, value: Any, label: str) -> str:
    """The PEM text at `key`, checked to begin and end as a `label` (an RSA or EC PRIVATE KEY counts as one)."""
    if not isinstance(value, str):
        raise ContractError(f"`{key}` is missing in the credentials; copy the whole text, from {{ to }}")
    shape = rf"-----BEGIN ([A-Z]+ )?{label}-----\s.+-----END ([A-Z]+ )?{label}-----"
    if not re.fullmatch(shape, value.strip(), re.DOTALL):
        raise ContractError(
            f"`{key}` is not a PEM text from -----BEGIN {label}----- to -----END {label}-----"
        )
    return value.strip() + "\n"


def _optional_text(document: Mapping[str, Any], key: str) -> str | None:
    value = document.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ContractError(f"`{key}` must be a text")
    return value
