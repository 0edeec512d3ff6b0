"""``client.tuned_models.permissions``: who may use, change and delete a tuned model."""

from __future__ import annotations

import attrs

from gemtune.config import RetryPolicy
from gemtune.errors import InvalidInput
from gemtune.http.caller import Caller
from gemtune.pager import Pager
from gemtune.protocol import gemini, names
from gemtune.protocol.gemini import Page
from gemtune.resources.given import ModelLike
from gemtune.types import GranteeType, Permission, Role


@attrs.frozen(eq=False)
class Permissions:
    """Shares tuned models.

    The roles are nested: READER may use a model, WRITER may also change and share it, OWNER may also delete it.
    """

    _caller: Caller

    async def create(
        self,
        parent: ModelLike,
        *,
        role: Role | str,
        email_address: str | None = None,
        grantee_type: GranteeType | str | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> Permission:
        """Give somebody a role on a tuned model.

        Args:
            parent: The tuned model.
            role: ``READER``, ``WRITER`` or ``OWNER``, in letters of either case.
            email_address: The person or group; needed for USER and GROUP, not allowed for EVERYONE.
            grantee_type: ``USER``, ``GROUP`` or ``EVERYONE``, likewise. If only an address is given: USER.
            timeout: Seconds for the whole call.
            retry: Another retry policy for this call.

        Raises:
            InvalidInput: The arguments contradict each other, or one is invalid; nothing was sent.
        """
        name = names.tuned_model_name(parent, field="parent")
        kind = _grantee(grantee_type or ("USER" if email_address else "EVERYONE"))
        if grantee_type is None and not email_address:
            raise InvalidInput(
                "give email_address, or say grantee_type='EVERYONE' to share with everyone", field="email_address"
            )
        if kind == "EVERYONE" and email_address:
            raise InvalidInput("email_address is not allowed with grantee_type='EVERYONE'", field="email_address")
        if kind != "EVERYONE" and not email_address:
            raise InvalidInput(f"email_address is needed for grantee_type={kind!s}", field="email_address")
        permission = Permission(grantee_type=kind, email_address=email_address or "", role=_role(role))
        return await self._caller.call(gemini.create_permission(name, permission), timeout=timeout, retry=retry)

    async def get(
        self, name: str | Permission, *, timeout: float | None = None, retry: RetryPolicy | None = None
    ) -> Permission:
        """Return a permission; its name is ``tunedModels/{id}/permissions/{id}``."""
        return await self._caller.call(gemini.get_permission(names.permission_name(name)), timeout=timeout, retry=retry)

    def list(
        self,
        parent: ModelLike,
        *,
        page_size: int | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> Pager[Permission]:
        """Return the permissions of a tuned model as a pager; a page has 10 by default, and at most 1000."""
        name = names.tuned_model_name(parent, field="parent")
        gemini.list_permissions(name, page_size=page_size)

        async def fetch(token: str | None) -> Page[Permission]:
            call = gemini.list_permissions(name, page_size=page_size, page_token=token)
            return await self._caller.call(call, timeout=timeout, retry=retry)

        return Pager(fetch)

    async def update(
        self,
        name: str | Permission,
        *,
        role: Role | str,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
    ) -> Permission:
        """Change the role of a permission; nothing else of it can be changed."""
        permission = Permission(name=names.permission_name(name), role=_role(role))
        return await self._caller.call(gemini.update_permission(permission), timeout=timeout, retry=retry)

    async def delete(
        self, name: str | Permission, *, timeout: float | None = None, retry: RetryPolicy | None = None
    ) -> None:
        """Take a role away."""
        await self._caller.call(gemini.delete_permission(names.permission_name(name)), timeout=timeout, retry=retry)


def _grantee(grantee_type: GranteeType | str) -> GranteeType:
    if not isinstance(grantee_type, str):
        raise InvalidInput(f"grantee_type must be USER, GROUP or EVERYONE, not {grantee_type!r}", field="grantee_type")
    return GranteeType(grantee_type.upper())


def _role(role: Role | str) -> Role:
    chosen = Role(role.upper()) if isinstance(role, str) else role
    if chosen not in {"READER", "WRITER", "OWNER"}:
        raise InvalidInput(f"role must be READER, WRITER or OWNER, not {role!r}", field="role")
    return chosen
