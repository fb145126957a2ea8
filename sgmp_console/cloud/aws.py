"""The way to AWS: clients with time-outs and few retries, and kinds of failure. boto3 is loaded with the first client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sgmp_console.errors import Refused, Unavailable, UserError

_REFUSED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedException",
        "UnauthorizedOperation",
        "ForbiddenException",
    }
)
_SIGN_IN = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_BUSY = frozenset(
    {
        "LimitExceededException",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)


class AwsUnavailable(Unavailable):
    """No answer, or one that says to come again. What was asked for may have been done."""


class AwsRefused(Refused):
    """AWS does not let this console do it."""


class AwsNotConfigured(UserError):
    """This computer has no AWS credentials, or they are no longer valid."""


class AwsRejected(UserError):
    """AWS can't do what was asked for as it stands. `code`: AWS's own word for why."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class Aws:
    """Which AWS. Credentials come from where AWS's own tools take them (`named_profile` picks among them).

    `endpoint`: the address of a server in place of AWS's. Times are seconds; `attempts` includes the first.
    """

    region: str
    endpoint: str = ""
    named_profile: str = ""
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 15.0
    attempts: int = 3

    def client(self, service: str, *, signed: bool = True) -> Any:
        """A client of boto3, the same each time; `signed=False` for calls made in a user's name, not this computer's.

        Raises AwsNotConfigured.
        """
        return _client(self, service, signed)


@lru_cache(maxsize=32)
def _client(aws: Aws, service: str, signed: bool) -> Any:
    # Kept: making one reads megabytes of AWS's descriptions. They may be used by several threads.
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config = Config(
        connect_timeout=aws.connect_timeout_s,
        read_timeout=aws.read_timeout_s,
        retries={"total_max_attempts": aws.attempts, "mode": "standard"},
        signature_version=None if signed else UNSIGNED,
    )
    try:
        session = boto3.Session(region_name=aws.region, profile_name=aws.named_profile or None)
        return session.client(service, endpoint_url=aws.endpoint or None, config=config)
    except (BotoCoreError, ValueError) as error:
        raise AwsNotConfigured(f"AWS can't be used as this profile says: {error}.") from error


@contextmanager
def calling(what: str) -> Iterator[None]:
    """Failures of the AWS calls inside as our exceptions. `what` completes "AWS could not ...".

    Texts name AWS's code and never quote its message, which can repeat a password back.
    """
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        PartialCredentialsError,
        TokenRetrievalError,
    )

    try:
        yield
    except ClientError as error:
        raise _distinguished(error.response, error.operation_name, what) from None
    except (NoCredentialsError, PartialCredentialsError, TokenRetrievalError):
        raise AwsNotConfigured(
            f"AWS could not {what}: this computer has no AWS credentials. Set them up as for the AWS command line "
            "(aws configure), or name the right AWS profile in the connection profile."
        ) from None
    except BotoCoreError as error:
        # Connections and time-outs; the text names an address at most.
        raise AwsUnavailable(
            f"AWS could not {what}: it did not answer ({type(error).__name__}). Check this computer's network, then "
            "try again."
        ) from None


def _distinguished(response: Any, operation: str, what: str) -> Exception:
    code = str(response.get("Error", {}).get("Code", "unknown"))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _SIGN_IN:
        return AwsNotConfigured(
            f"AWS could not {what}: it does not accept this computer's AWS credentials ({code}). Renew them, and check "
            "this computer's clock."
        )
    if code in _REFUSED or status == 403:
        return AwsRefused(
            f"AWS could not {what}: this console may not call {operation} ({code}). Its permissions must be those of "
            "resources/aws/console_policy.json."
        )
    if code in _BUSY or status >= 500:
        return AwsUnavailable(f"AWS could not {what} at the moment ({code}). Try again in a minute.")
    return AwsRejected(code, f"AWS could not {what} ({operation}: {code}).")
