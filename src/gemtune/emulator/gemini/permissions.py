"""The methods of ``tunedModels.permissions``."""

from __future__ import annotations

import re
from typing import cast

from gemtune.emulator.gemini.tuned_models import split_mask
from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.errors import already_exists, bad_request, invalid_fields, not_found
from gemtune.emulator.world.pages import take_page
from gemtune.emulator.world.store import ROLES, MethodCall, Store, StoredModel, StoredPermission


def _show(model: StoredModel, permission: StoredPermission) -> Value:
    return {
        "name": f"{model.name}/permissions/{permission.id}",
        "grantee_type": permission.grantee_type,
        "email_address": permission.email,
        "role": permission.role,
    }


def _find(store: Store, call: MethodCall, name: str, role: str) -> tuple[StoredModel, StoredPermission]:
    parent, _, permission_id = name.partition("/permissions/")
    model = store.tuned_model(parent, call.caller, role)
    permission = model.permissions.get(permission_id)
    if permission is None:
        raise not_found(f"Permission {name} does not exist.")
    return model, permission


def create(store: Store, call: MethodCall) -> Value:
    """Share a tuned model."""
    model = store.tuned_model(call.params["parent"], call.caller, "WRITER")
    grantee = cast(str, call.body.get("grantee_type", "GRANTEE_TYPE_UNSPECIFIED"))
    email = cast("str | None", call.body.get("email_address") or None)
    found = []
    if grantee not in ("USER", "GROUP", "EVERYONE"):
        found.append(("permission.grantee_type", "must be USER, GROUP or EVERYONE"))
    elif grantee == "EVERYONE" and email:
        found.append(("permission.email_address", "must not be set when the grantee type is EVERYONE"))
    elif grantee != "EVERYONE" and not re.fullmatch(r"[^@\s]+@[^@\s]+", email or ""):
        found.append(("permission.email_address", f"must be an email address when the grantee type is {grantee}"))
    found += _role_violations(call)
    if found:
        raise invalid_fields("CreatePermissionRequest", found)
    # One permission for each grantee, whatever the case of its email address.
    for other in model.permissions.values():
        if other.grantee_type == grantee and (other.email or "").casefold() == (email or "").casefold():
            raise already_exists(f"A permission for this grantee already exists: {model.name}/permissions/{other.id}")
    permission = StoredPermission(
        _new_id(store, model), grantee, email, cast(str, call.body["role"]), store.next_number()
    )
    model.permissions[permission.id] = permission
    return _show(model, permission)


def _role_violations(call: MethodCall) -> list[tuple[str, str]]:
    role = call.body.get("role")
    if role not in ROLES:
        return [("permission.role", "must be WRITER or READER")]
    if role == "OWNER":
        return [("permission.role", "OWNER cannot be granted; use transferOwnership")]
    return []


def _new_id(store: Store, model: StoredModel) -> str:
    while (made := store.random_id(12)) in model.permissions:
        pass
    return made


def get(store: Store, call: MethodCall) -> Value:
    """Return one permission."""
    return _show(*_find(store, call, call.params["name"], "READER"))


def list_(store: Store, call: MethodCall) -> Value:
    """List who may use a tuned model."""
    model = store.tuned_model(call.params["parent"], call.caller, "READER")
    found, token = take_page(call, [(p.number, p) for p in model.permissions.values()], default=10, maximum=1000)
    return {"permissions": [_show(model, permission) for permission in found], "next_page_token": token}


def patch(store: Store, call: MethodCall) -> Value:
    """Change a role; the owner's only changes by ``transferOwnership``."""
    model, permission = _find(store, call, call.params["permission.name"], "WRITER")
    if split_mask(call.query.get("update_mask")) != ["role"]:
        raise bad_request("Invalid update_mask: it is required, and only 'role' can be changed.")
    _refuse_owner(permission)
    found = _role_violations(call)
    if found:
        raise invalid_fields("UpdatePermissionRequest", found)
    permission.role = cast(str, call.body["role"])
    return _show(model, permission)


def delete(store: Store, call: MethodCall) -> Value:
    """Stop sharing a tuned model with somebody."""
    model, permission = _find(store, call, call.params["name"], "WRITER")
    _refuse_owner(permission)
    del model.permissions[permission.id]
    return {}


def _refuse_owner(permission: StoredPermission) -> None:
    if permission.role == "OWNER":
        raise bad_request("The permission of the owner cannot be changed or deleted; use transferOwnership.")
