"""``POST /token``: what a service account's file or a user's refresh token is exchanged for, as at Google's token host.

A file whose ``token_uri`` names the emulator works with Google's own credentials: they sign a JWT and come here with
it. No signature is checked, because the emulator has no secrets to keep. With ``auth="strict"`` the token is one that
nobody knows: what is let in then is up to ``Auth.tokens``.
"""

from __future__ import annotations

import base64
import binascii
import json
from urllib.parse import parse_qsl

import attrs

from gemtune.emulator.messages.bodies import JSON, not_found_reply
from gemtune.emulator.messages.codec import Value
from gemtune.emulator.messages.errors import RpcError
from gemtune.emulator.messages.http import HttpReply, HttpRequest, JsonLayout
from gemtune.emulator.messages.json_text import dumps
from gemtune.emulator.messages.known_errors import no_credential
from gemtune.emulator.messages.masks import Mask
from gemtune.emulator.world.face import Reading, RouteMatch
from gemtune.emulator.world.route import Route
from gemtune.emulator.world.settings import Settings
from gemtune.emulator.world.store import MethodCall, Shelf, Store

_SECONDS = 3599
_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def grant(store: Store, call: MethodCall) -> Value:
    """Return a token for a JWT or a refresh token."""
    kind = call.body.get("grant_type")
    if kind == _JWT:
        _check_jwt(str(call.body.get("assertion", "")))
    elif kind != "refresh_token" or not call.body.get("refresh_token"):
        raise _refused("unsupported_grant_type", f"Invalid grant_type: {kind}")
    return {"access_token": f"ya29.{store.random_id(40)}", "expires_in": _SECONDS, "token_type": "Bearer"}


def _check_jwt(assertion: str) -> None:
    """Refuse what is not three parts of which the second one says who asks."""
    parts = assertion.split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))) if len(parts) == 3 else {}
    except (ValueError, binascii.Error, RecursionError):
        claims = {}
    if not isinstance(claims, dict) or not claims.get("iss"):
        raise _refused("invalid_grant", "Invalid JWT: it must have three parts and name its issuer.")


def _refused(error: str, description: str) -> RpcError:
    return RpcError("INVALID_ARGUMENT", f"{error}: {description}")


_ROUTE = Route("oauth.token", "POST", "token", (), grant, changes=False, public=True)


@attrs.frozen(eq=False)
class TokenFace:
    """Google's token host."""

    name: str = "token"
    host: str = "oauth2.googleapis.com"
    server: str = "scaffolding on HTTPServer2"
    replication: None = None

    def new_shelf(self, settings: Settings) -> Shelf | None:  # noqa: ARG002 - a face's
        return None

    def find(self, verb: str, path: str, query: str = "") -> RouteMatch | None:  # noqa: ARG002 - a face's
        return RouteMatch(self, _ROUTE, "", {}) if (verb, path) == ("POST", "/token") else None

    def rpc_name(self, match: RouteMatch) -> str:  # noqa: ARG002 - a face's
        return "google.oauth2.Token"

    def layout(self, match: RouteMatch | None, request: HttpRequest) -> JsonLayout:  # noqa: ARG002 - a face's
        return JsonLayout()

    def read(self, match: RouteMatch, request: HttpRequest, settings: Settings) -> Reading:  # noqa: ARG002 - a face's
        fields: Value = dict(parse_qsl(request.body.decode("utf-8", "replace")))
        return Reading(query={}, body=fields, mask={})

    def write(self, match: RouteMatch, value: Value | list[Value], layout: JsonLayout, mask: Mask) -> HttpReply:  # noqa: ARG002 - a face's
        return HttpReply(chunks=(dumps(value),), headers={"content-type": JSON})

    def refuse(self, error: RpcError, layout: JsonLayout) -> HttpReply:  # noqa: ARG002 - a face's
        name, _, description = error.message.partition(": ")
        body = dumps({"error": name, "error_description": description})
        return HttpReply(status=error.code, chunks=(body,), headers={"content-type": JSON, **error.headers})

    def anonymous(self) -> RpcError:
        return no_credential()

    def usual_error(self, code: int) -> RpcError | None:  # noqa: ARG002 - a face's
        return None

    def missing(self, path: str) -> HttpReply:
        return not_found_reply(path)


TOKEN = TokenFace()
