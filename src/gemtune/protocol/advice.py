"""What to do about a credential that is missing, refused or too narrow: it depends on who reads it.

"Log in with gcloud" helps at a laptop. It helps nobody who gave an API key, because that goes before what gcloud
knows; it cannot be done in CI; and on Cloud Run there is nothing to log in to. So an addressee is a value: which
credential is in use, where it came from, and where the program runs.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Final, Literal, Self

import attrs

SCOPES: Final = (
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/generative-language.tuning",
)
"""The scopes of tunedModels.create and of everything around it."""

LOGIN: Final = f"gcloud auth application-default login --scopes={','.join(SCOPES)} --client-id-file=client_secret.json"
"""gcloud's own OAuth client may not ask for the second scope ("this app is blocked"), hence one of your own."""

_CLIENT: Final = "client_secret.json is an OAuth client of your own, from the Credentials page of the Cloud console"


@attrs.frozen(kw_only=True)
class Access:
    """What a service wants of a credential.

    Args:
        scopes: The scopes to ask for.
        login: The command that logs in with them.
        note: What has to be said about the command.
        keys: Whether an API key is enough for most of it.
        local: Whether it is on this machine, and so most likely an emulator.
    """

    scopes: tuple[str, ...]
    login: str
    note: str = ""
    keys: bool = True
    local: bool = False

    @property
    def instructions(self) -> str:
        """The command to run, with what has to be said about it."""
        return f"{self.login} ({self.note})" if self.note else self.login


GEMINI: Final = Access(scopes=SCOPES, login=LOGIN, note=_CLIENT)
CLOUD: Final = Access(scopes=SCOPES[:1], login="gcloud auth application-default login", keys=False)
"""Vertex AI and Cloud Storage: one scope, for which gcloud itself may ask, and no API key."""

_EMULATED: Final = (
    "For `gemtune emulator`, let GOOGLE_APPLICATION_CREDENTIALS name the file that its option credentials writes"
)

Place = Literal["laptop", "colab", "google-cloud", "ci"]

_GOOGLE_CLOUD: Final = (
    "K_SERVICE", "CLOUD_RUN_JOB", "FUNCTION_TARGET", "GAE_SERVICE", "AIP_MODE", "GCE_METADATA_HOST", "GCE_METADATA_IP",
)  # fmt: skip
_CI: Final = ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "BUILD_ID", "TF_BUILD", "JENKINS_URL")


@attrs.frozen(kw_only=True)
class Addressee:
    """Who reads an error about a credential.

    Args:
        kind: The credential in use: ``API key``, ``token``, ``token callable``, ``google-auth``, or
            ``Application Default Credentials``.
        source: Where it was taken from, such as ``GOOGLE_API_KEY``; empty if that is not known.
        place: Where the program runs.
        file: Whether GOOGLE_APPLICATION_CREDENTIALS names a file.
        access: What the service wants.
    """

    kind: str = "Application Default Credentials"
    source: str = ""
    place: Place = "laptop"
    file: bool = False
    access: Access = GEMINI

    @classmethod
    def of(
        cls, kind: str, source: str, environ: Mapping[str, str], modules: Container[str], access: Access = GEMINI
    ) -> Self:
        """Return the addressee of a program with these variables and imported modules."""
        file = bool(environ.get("GOOGLE_APPLICATION_CREDENTIALS"))
        return cls(kind=kind, source=source, place=place(environ, modules), file=file, access=access)


def place(environ: Mapping[str, str], modules: Container[str]) -> Place:
    """Return where a program with these variables and imported modules runs."""
    if "google.colab" in modules or "COLAB_RELEASE_TAG" in environ:
        return "colab"
    if any(environ.get(name) for name in _GOOGLE_CLOUD):
        return "google-cloud"
    return "ci" if any(environ.get(name, "").lower() not in {"", "0", "false"} for name in _CI) else "laptop"


def missing(addressee: Addressee) -> str:
    """Return what to do if there is no credential at all."""
    if addressee.access.local:
        return f"{_EMULATED}. {_missing(addressee)}"
    return _missing(addressee)


def _missing(addressee: Addressee) -> str:
    keys = addressee.access.keys
    if addressee.place == "colab":
        kept = "store an API key in the secrets panel and pass api_key=google.colab.userdata.get('GOOGLE_API_KEY'), or "
        return f"In Colab, {kept if keys else ''}run google.colab.auth.authenticate_user()"
    if addressee.place == "google-cloud":
        return (
            "The metadata server gave none: attach a service account to this service, job or machine (on GKE: workload "
            f"identity){_or_key(addressee)}"
        )
    if addressee.place == "ci":
        file = "let GOOGLE_APPLICATION_CREDENTIALS name a file of credentials"
        return "In CI, sign in by workload identity (on GitHub: google-github-actions/auth)" + (
            f", {file}, or keep an API key in the secret GOOGLE_API_KEY" if keys else f", or {file}"
        )
    note = f"\n({addressee.access.note})" if addressee.access.note else ""
    return f"Run: {addressee.access.login}{note}{_or_key(addressee)}"


def _or_key(addressee: Addressee) -> str:
    return ", or set the environment variable GOOGLE_API_KEY to an API key" if addressee.access.keys else ""


def refused(addressee: Addressee, said: str = "") -> str:
    """Return what to do if the service refuses the credential (401).

    Args:
        addressee: Who reads it.
        said: The service's own words.
    """
    source = f" (from {addressee.source})" if addressee.source else ""
    if addressee.kind == "API key" and "API keys are not supported" in said:
        # An API key goes before a login, so that one alone would change nothing.
        return f"an API key{source} is not enough here: take it away and {_login(addressee)}"
    if addressee.kind == "API key":
        return f"it is the API key{source} that was refused: check it at https://aistudio.google.com/apikey"
    if addressee.kind == "token":
        return "the access token has expired or is of the wrong kind: pass a new one, or a function that returns one"
    if addressee.kind == "token callable":
        return "the access token that your function returned has expired or is of the wrong kind"
    if addressee.kind == "google-auth":
        return f"the credentials object was refused: make one that is valid, with {_scopes(addressee)}"
    return f"the token is expired or of the wrong kind, {_login(addressee)}"


def not_renewed(addressee: Addressee) -> str:
    """Return what to do if a credential that must be renewed from time to time could not be."""
    if addressee.kind == "google-auth":
        return "make the credentials object anew"
    return f"{_login(addressee)}{_or_key(addressee)}"


def too_narrow(addressee: Addressee) -> str:
    """Return what to do if the credential lacks a scope."""
    if addressee.kind in {"token", "token callable"}:
        return f"the access token is too narrow for tuning: get one with {_scopes(addressee)}"
    if addressee.kind == "google-auth":
        return f"the credentials object is too narrow for tuning: make it with {_scopes(addressee)}"
    return f"the credential is too narrow for tuning, {_login(addressee)}"


def _scopes(addressee: Addressee) -> str:
    scopes = addressee.access.scopes
    return f"the scope{'s' if len(scopes) > 1 else ''} {' and '.join(scopes)}"


def _login(addressee: Addressee) -> str:
    if addressee.file:
        return "check the file that GOOGLE_APPLICATION_CREDENTIALS names: its account, and that its key is still valid"
    if addressee.place == "colab":
        return "run google.colab.auth.authenticate_user()"
    if addressee.place == "google-cloud":
        return "check the service account that is attached here, and on a virtual machine its access scopes"
    if addressee.place == "ci":
        return "sign in by workload identity (on GitHub: google-github-actions/auth) or with a service account's file"
    return f"run: {addressee.access.instructions}"
