"""Who may use a tuned model (API page: tunedModels.permissions)."""

from __future__ import annotations

import attrs

from gemtune.types.message import Message
from gemtune.types.openenum import OpenEnum


class GranteeType(OpenEnum):
    """Whom a permission is for."""

    GRANTEE_TYPE_UNSPECIFIED = "GRANTEE_TYPE_UNSPECIFIED"
    USER = "USER"
    GROUP = "GROUP"
    EVERYONE = "EVERYONE"


class Role(OpenEnum):
    """What a permission allows: a reader infers, a writer also edits and shares, an owner also deletes."""

    ROLE_UNSPECIFIED = "ROLE_UNSPECIFIED"
    OWNER = "OWNER"
    WRITER = "WRITER"
    READER = "READER"


@attrs.frozen(kw_only=True)
class Permission(Message):
    """One grant on a tuned model.

    Args:
        name: ``tunedModels/{id}/permissions/{id}``; set by the service.
        grantee_type: Whom it is for.
        email_address: The user's or group's address; empty for everyone.
        role: What it allows.
    """

    name: str = ""
    grantee_type: GranteeType = attrs.field(default=GranteeType.GRANTEE_TYPE_UNSPECIFIED, converter=GranteeType)
    email_address: str = ""
    role: Role = attrs.field(default=Role.ROLE_UNSPECIFIED, converter=Role)


@attrs.frozen(kw_only=True)
class ListPermissionsResponse(Message):
    """One page of permissions; without a next page token it is the last."""

    permissions: tuple[Permission, ...] = ()
    next_page_token: str = ""
