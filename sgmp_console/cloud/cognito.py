"""A Cognito user pool as the directory of users.

Groups stand for roles, the attribute `custom:home` for the house. Administrators act with this computer's AWS
credentials; somebody changing their own password needs none, only the pool's app client.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sgmp_console.cloud.aws import Aws, AwsRejected, AwsUnavailable, calling
from sgmp_console.cloud.directory import DirectoryUser
from sgmp_console.errors import SgmpError, Unavailable, UserError

HOME = "custom:home"
_GONE = "UserNotFoundException"
_TEMPORARY = "FORCE_CHANGE_PASSWORD"
_TAKEN = frozenset({"UsernameExistsException", "AliasExistsException"})


def group_of(role: str) -> str:
    """The group of a role; a group's name holds no white space."""
    return re.sub(r"[\s%]", lambda found: f"%{ord(found[0]):02X}", role)


def role_of(group: str) -> str:
    return re.sub(r"%([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), group)


class UserPool:
    """See Directory. `client_id`: the pool's app client, without a secret, with the flow ALLOW_USER_PASSWORD_AUTH."""

    mails = True

    def __init__(self, aws: Aws, pool_id: str, client_id: str) -> None:
        self._aws = aws
        self._pool_id = pool_id
        self._client_id = client_id

    def add(self, user: DirectoryUser, password: str) -> None:
        """Cognito mails the password. Raises UserError where somebody else has made a user of this email."""
        self._clear_leftover(user.email)
        self._ensure_group(user.role)
        try:
            self._create(user, password)
            self._join(user.email, user.role)
        except BaseException as error:
            if isinstance(error, AwsRejected) and error.code in _TAKEN:
                raise _taken(user.email) from error  # since we looked; not ours to remove
            self._undo(user.email, error)
            raise

    def find(self, email: str) -> DirectoryUser | None:
        found = self._get(email)
        if found is None:
            return None
        with calling("list the groups of a user"):
            pages = self._cognito.get_paginator("admin_list_groups_for_user").paginate(**self._user(email))
            groups = [group["GroupName"] for page in pages for group in page["Groups"]]
        return _user_of(found, found["UserAttributes"], groups)

    def list_all(self) -> list[DirectoryUser]:
        """All users, in order of email."""
        pool = {"UserPoolId": self._pool_id}
        with calling("list the users of the pool"):
            users = [
                user
                for page in self._cognito.get_paginator("list_users").paginate(**pool)
                for user in page["Users"]
            ]
            groups: dict[str, list[str]] = {}
            for page in self._cognito.get_paginator("list_groups").paginate(**pool):
                for group in page["Groups"]:
                    name = group["GroupName"]
                    members = self._cognito.get_paginator("list_users_in_group").paginate(
                        GroupName=name, **pool
                    )
                    for member in [member for page in members for member in page["Users"]]:
                        groups.setdefault(member["Username"], []).append(name)
        found = [_user_of(user, user["Attributes"], groups.get(user["Username"], [])) for user in users]
        return sorted(found, key=lambda user: user.email)

    def update(self, user: DirectoryUser) -> None:
        self._ensure_group(user.role)
        with calling("change a user"):
            self._cognito.admin_update_user_attributes(
                **self._user(user.email),
                UserAttributes=_attributes({"name": user.name, HOME: _home(user)}),
            )
        before = self.find(user.email)
        self._join(user.email, user.role)
        with calling("change the role of a user"):
            pages = self._cognito.get_paginator("admin_list_groups_for_user").paginate(
                **self._user(user.email)
            )
            for group in [group["GroupName"] for page in pages for group in page["Groups"]]:
                if group != group_of(user.role):
                    self._cognito.admin_remove_user_from_group(**self._user(user.email), GroupName=group)
        if before is not None and before.enabled != user.enabled:
            self._set_enabled(user.email, user.enabled)

    def set_temporary_password(self, email: str, password: str) -> None:
        """Cognito does not mail this one. Raises UserError where there is no such user, or its rules are not kept."""
        with calling("reset a password"):
            self._cognito.admin_set_user_password(**self._user(email), Password=password, Permanent=False)

    def change_own_password(self, email: str, old: str, new: str) -> None:
        try:
            self._change_own_password(email, old, new)
        except AwsUnavailable:
            if not self._accepts(email, new):
                raise
            # Changed; only the answer was lost.
        except AwsRejected as error:
            raise _own_password_refused(error) from None

    def remove(self, email: str) -> None:
        try:
            with calling("delete a user"):
                self._cognito.admin_delete_user(**self._user(email))
        except AwsRejected as error:
            if error.code != _GONE:
                raise

    @property
    def _cognito(self) -> Any:
        return self._aws.client("cognito-idp")

    def _user(self, email: str) -> dict[str, str]:
        return {"UserPoolId": self._pool_id, "Username": email}

    def _get(self, email: str) -> Any:
        try:
            with calling("look a user up"):
                return self._cognito.admin_get_user(**self._user(email))
        except AwsRejected as error:
            if error.code == _GONE:
                return None
            raise

    def _clear_leftover(self, email: str) -> None:
        """Make room for a new user. A user who has signed in once is real; any other was left by an attempt of ours."""
        found = self._get(email)
        if found is None:
            return
        if found["Enabled"] and found["UserStatus"] != _TEMPORARY:
            raise _taken(email)
        self.remove(email)

    def _create(self, user: DirectoryUser, password: str) -> None:
        # Once only: a second attempt after a lost answer would find the user, and mail nothing.
        once = replace(self._aws, attempts=1).client("cognito-idp")
        attributes = {"email": user.email, "email_verified": "true", "name": user.name, HOME: _home(user)}
        try:
            with calling(f"make the user {user.email}"):
                once.admin_create_user(
                    **self._user(user.email),
                    UserAttributes=_attributes(attributes),
                    TemporaryPassword=password,
                    DesiredDeliveryMediums=["EMAIL"],
                )
        except AwsUnavailable:
            if self._get(user.email) is None:
                raise
            # Made; only the answer was lost.

    def _ensure_group(self, role: str) -> None:
        try:
            with calling(f"make the group of the role {role}"):
                self._cognito.create_group(UserPoolId=self._pool_id, GroupName=group_of(role))
        except AwsRejected as error:
            if error.code != "GroupExistsException":
                raise

    def _join(self, email: str, role: str) -> None:
        with calling("give a user their role"):
            self._cognito.admin_add_user_to_group(**self._user(email), GroupName=group_of(role))

    def _set_enabled(self, email: str, enabled: bool) -> None:
        with calling("enable a user" if enabled else "disable a user"):
            act = self._cognito.admin_enable_user if enabled else self._cognito.admin_disable_user
            act(**self._user(email))

    def _undo(self, email: str, cause: BaseException) -> None:
        try:
            self.remove(email)
        except SgmpError as error:
            raise Unavailable(
                f"{cause} The user {email} may have been left in the user pool ({error}); creating the account again "
                "replaces it."
            ) from cause

    def _change_own_password(self, email: str, old: str, new: str) -> None:
        client = self._aws.client("cognito-idp", signed=False)
        with calling("change the password"):
            answer = self._sign_in(email, old)
            if "AuthenticationResult" in answer:
                client.change_password(
                    PreviousPassword=old,
                    ProposedPassword=new,
                    AccessToken=answer["AuthenticationResult"]["AccessToken"],
                )
                return
            if answer["ChallengeName"] == "NEW_PASSWORD_REQUIRED":
                given = answer["ChallengeParameters"]
                client.respond_to_auth_challenge(
                    ClientId=self._client_id,
                    ChallengeName=answer["ChallengeName"],
                    Session=answer["Session"],
                    ChallengeResponses={
                        "USERNAME": given.get("USER_ID_FOR_SRP") or given.get("USERNAME") or email,
                        "NEW_PASSWORD": new,
                    },
                )
                return
        raise UserError(
            f"The user pool asks for more than a password ({answer['ChallengeName']}), which this console can't answer. "
            "Change the password where you usually sign in to the pool."
        )

    def _accepts(self, email: str, password: str) -> bool:
        """Whether this is the user's password, as far as the pool says."""
        try:
            with calling("sign in"):
                return "AuthenticationResult" in self._sign_in(email, password)
        except SgmpError:
            return False

    def _sign_in(self, email: str, password: str) -> Mapping[str, Any]:
        client = self._aws.client("cognito-idp", signed=False)
        answer: Mapping[str, Any] = client.initiate_auth(
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": email, "PASSWORD": password},
            ClientId=self._client_id,
        )
        return answer


def _taken(email: str) -> UserError:
    return UserError(
        f"The user pool has a user {email} already, who has no account here. Delete that user in the pool, or use another "
        "address."
    )


def _own_password_refused(error: AwsRejected) -> UserError:
    if error.code == "InvalidPasswordException":
        return UserError("The user pool wants a stronger password: longer, or with more kinds of characters.")
    if error.code == "NotAuthorizedException":
        return UserError(
            "The user pool does not accept the current password. An administrator can reset the password, which makes it "
            "the same everywhere again."
        )
    if error.code == "PasswordHistoryPolicyViolationException":
        return UserError("The user pool does not take a password that was used before.")
    return error


def _home(user: DirectoryUser) -> str:
    return "" if user.house_id is None else str(user.house_id)


def _attributes(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in values.items()]


def _user_of(user: Any, attributes: Any, groups: list[str]) -> DirectoryUser:
    values = {one["Name"]: one["Value"] for one in attributes}
    home = values.get(HOME, "")
    return DirectoryUser(
        email=values.get("email", user["Username"]).lower(),
        name=values.get("name", ""),
        role=role_of(groups[0]) if groups else "",
        house_id=int(home) if re.fullmatch(r"[0-9]{1,9}", home) else None,
        enabled=user["Enabled"],
        must_change_password=user["UserStatus"] == _TEMPORARY,
    )
