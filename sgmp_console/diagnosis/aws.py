"""What AWS must have for a connection profile: an identity, the policies and the rule of IoT Core, the user pool."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from sgmp_console.cloud import services
from sgmp_console.cloud.aws import Aws, AwsRefused, AwsRejected, calling
from sgmp_console.cloud.cognito import HOME
from sgmp_console.cloud.iot import edge_policy
from sgmp_console.diagnosis.steps import NotAsNeeded, Step, step
from sgmp_console.resources import resource
from sgmp_console.settings import Profile

_PLACE = re.compile(r"\$\{(deployment|region|account|user_pool_id|bucket)\}")


def filled(document: str, **places: str) -> str:
    """The text of `resources/aws/DOCUMENT` with its places filled in; AWS's own variables stay."""
    text = resource(f"aws/{document}").read_text("utf-8")
    return _PLACE.sub(lambda found: places[found[1]], text)


def aws_steps(profile: Profile) -> Iterator[Step]:
    """What AWS must have for this profile: an identity, the policies and the rule of IoT Core, the user pool."""
    aws = services.aws(profile)
    account = ""

    def identity() -> str:
        nonlocal account
        with calling("tell who this computer is to it"):
            who = aws.client("sts").get_caller_identity()
        account = str(who["Account"])
        return f"This computer is {who['Arn']}."

    first = step("AWS credentials", identity, "Set up AWS credentials as for the AWS command line.")
    yield first
    if not first.ok:
        return
    places = {"deployment": profile.deployment, "region": profile.region, "account": account}
    if not profile.authority:
        yield from _iot_steps(aws, places, profile)
    if profile.user_pool_id:
        yield from _pool_steps(aws, profile)


def _iot_steps(aws: Aws, places: Mapping[str, str], profile: Profile) -> Iterator[Step]:
    iot = aws.client("iot")

    def endpoint() -> str:
        with calling("tell the address of its MQTT broker"):
            address = iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"]
        return f"Edges connect to {address}."

    yield step("IoT endpoint", endpoint)
    for name, document in (
        (edge_policy(profile.deployment), "edge_policy.json"),
        (f"{profile.deployment}_ingest", "ingest_policy.json"),
        (f"{profile.deployment}_console", "console_broker_policy.json"),
    ):
        yield step(f"IoT policy {name}", partial(_policy, iot, name, document, places))
    yield step("IoT rule", lambda: _rule(iot, f"{profile.deployment}_readings", profile.deployment))

    def rights() -> str:
        # Each looks at what is not there: the answer is "not found" where the right is there.
        nobody = f"{profile.deployment}_house_0"
        nothing = "0" * 64
        for what, call in (
            ("list things", lambda: iot.list_things(maxResults=1)),
            ("list certificates", lambda: iot.list_certificates(pageSize=1)),
            ("look at certificates", lambda: iot.describe_certificate(certificateId=nothing)),
            ("list a thing's certificates", lambda: iot.list_thing_principals(thingName=nobody)),
            ("delete things of houses", lambda: iot.delete_thing(thingName=nobody)),
            (
                "deactivate certificates",
                lambda: iot.update_certificate(certificateId=nothing, newStatus="INACTIVE"),
            ),
            ("delete certificates", lambda: iot.delete_certificate(certificateId=nothing)),
        ):
            _allowed(what, call)
        return "It may list, look at and remove things and certificates."

    yield step("IoT permissions", rights, "Give this computer's AWS user resources/aws/console_policy.json.")


def _policy(iot: Any, name: str, document: str, places: Mapping[str, str]) -> str:
    how = f"Make it from resources/aws/{document}, whose README says how."
    try:
        with calling(f"look at the policy {name}"):
            found = iot.get_policy(policyName=name)["policyDocument"]
    except AwsRejected as error:
        raise NotAsNeeded(f"There is no policy {name}.", how) from error
    try:
        same = json.loads(found) == json.loads(filled(document, **places))
    except ValueError:
        same = False
    if not same:
        raise NotAsNeeded(
            f"The policy {name} is not the one in resources/aws/{document}.", f"Compare them. {how}"
        )
    return "It is as it should be."


def _rule(iot: Any, name: str, deployment: str) -> str:
    how = "Make it from resources/aws/readings_rule.json, whose README says how."
    try:
        with calling(f"look at the rule {name}"):
            rule = iot.get_topic_rule(ruleName=name)["rule"]
    except AwsRejected as error:
        raise NotAsNeeded(
            f"There is no rule {name}: what edges publish while ingest is away for long is lost.", how
        ) from error
    if rule.get("ruleDisabled"):
        raise NotAsNeeded(f"The rule {name} is disabled.", "Enable it.")
    if f"'{deployment}_read/" not in rule.get("sql", ""):
        raise NotAsNeeded(f"The rule {name} does not select from {deployment}_read.", how)
    if not rule.get("actions"):
        raise NotAsNeeded(f"The rule {name} has no action.", how)
    if not rule.get("errorAction"):
        raise NotAsNeeded(
            f"The rule {name} has no error action: what its action can't keep is lost silently.", how
        )
    return "It is enabled and has an error action."


def _pool_steps(aws: Aws, profile: Profile) -> Iterator[Step]:
    cognito = aws.client("cognito-idp")
    pool: Any = {}

    def exists() -> str:
        with calling("look at the user pool"):
            pool.update(cognito.describe_user_pool(UserPoolId=profile.user_pool_id)["UserPool"])
        return f"It is called {pool.get('Name', '')}."

    first = step(
        "User pool", exists, "Make it from resources/aws/user_pool.json, and name its id in the profile."
    )
    yield first
    if not first.ok:
        return

    def home() -> str:
        attributes = {one["Name"]: one for one in pool.get("SchemaAttributes", [])}
        if HOME not in attributes:
            raise NotAsNeeded(
                f"The user pool has no attribute {HOME}, which holds a user's house.",
                "Add it: aws cognito-idp add-custom-attributes --user-pool-id "
                f"{profile.user_pool_id} --custom-attributes Name=home,AttributeDataType=String,Mutable=true",
            )
        if (
            not attributes[HOME].get("Mutable", False)
            or attributes[HOME].get("AttributeDataType") != "String"
        ):
            raise NotAsNeeded(
                f"The attribute {HOME} must be a text that can be changed; Cognito can't make it so afterwards.",
                "Make a new user pool from resources/aws/user_pool.json.",
            )
        return "It is there and can be changed."

    yield step(f"User pool: {HOME}", home)

    def sign_up() -> str:
        if not pool.get("AdminCreateUserConfig", {}).get("AllowAdminCreateUserOnly", False):
            raise NotAsNeeded(
                "Anybody can sign up to the user pool.",
                "Allow only administrators to create users (AllowAdminCreateUserOnly).",
            )
        return "Only administrators make users."

    yield step("User pool: sign-up", sign_up)

    def client() -> str:
        with calling("look at the app client"):
            found = cognito.describe_user_pool_client(
                UserPoolId=profile.user_pool_id, ClientId=profile.user_pool_client_id
            )["UserPoolClient"]
        how = "Set it as in resources/aws/user_pool_client.json."
        if found.get("ClientSecret"):
            raise NotAsNeeded("The app client has a secret, which a console could not keep.", how)
        if "ALLOW_USER_PASSWORD_AUTH" not in found.get("ExplicitAuthFlows", []):
            raise NotAsNeeded("The app client does not allow the flow ALLOW_USER_PASSWORD_AUTH.", how)
        if HOME in found.get("WriteAttributes", [HOME]):
            raise NotAsNeeded(
                f"The app client lets users change {HOME}, and so their house, by themselves.", how
            )
        return "It lets users sign in and change their passwords, but not their house."

    yield step("User pool: app client", client, "Name the id of the pool's app client in the profile.")

    def rights() -> str:
        user = {"UserPoolId": profile.user_pool_id, "Username": "nobody@sgmp.invalid"}
        pool_id = profile.user_pool_id
        for what, call in (
            ("list users", lambda: cognito.list_users(UserPoolId=pool_id, Limit=1)),
            ("list groups", lambda: cognito.list_groups(UserPoolId=pool_id, Limit=1)),
            ("look users up", lambda: cognito.admin_get_user(**user)),
            ("disable users", lambda: cognito.admin_disable_user(**user)),
            ("delete users", lambda: cognito.admin_delete_user(**user)),
        ):
            _allowed(what, call)
        return "It may list, look up, disable and delete users."

    yield step(
        "User pool permissions", rights, "Give this computer's AWS user resources/aws/console_policy.json."
    )


def _allowed(what: str, call: Callable[[], object]) -> None:
    """Raises NotAsNeeded where this computer may not; whether there is something to do it to does not matter."""
    try:
        with calling(what):
            call()
    except AwsRejected:
        return
    except AwsRefused as error:
        raise NotAsNeeded(
            f"This computer's AWS user may not {what}.", "Give it resources/aws/console_policy.json."
        ) from error
