"""From arguments and the environment to settings, each with the place it was taken from.

Names, order and warnings are those of Google's own SDK, so that an environment that works there works here. A base URL
from the environment is honoured only for loopback addresses and ``*.googleapis.com``: a variable alone must not be able
to send a credential to a stranger.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias, TypeVar
from urllib.parse import urlsplit

import attrs

from gemtune import checks
from gemtune.errors import InvalidInput, SettingsError
from gemtune.remedy import Argument, Remedy
from gemtune.settings import addresses
from gemtune.settings.secrets import Secret, odd_secret

ServiceName: TypeAlias = Literal["gemini", "vertex"]

DEFAULT_BASE_URL: Final = addresses.GEMINI
DEFAULT_LOCATION: Final = "us-central1"
_KEYS: Final = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
_PROJECT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]{0,99}")
_BUCKET: Final = re.compile(r"(?:gs://)?([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])/?")
_VERTEX: Final = ("GOOGLE_GENAI_USE_ENTERPRISE", "GOOGLE_GENAI_USE_VERTEXAI")
_GEMINI_API: Final = "Gemini API"
_VERTEX_AI: Final = "Vertex AI"

_log = logging.getLogger("gemtune")


@attrs.frozen
class Setting:
    """One setting: its value in a form that may be shown, and where it was taken from."""

    name: str
    shown: str
    source: str

    def __str__(self) -> str:
        return f"{self.name:<12} {self.shown}  (from {self.source})"


@attrs.frozen(kw_only=True)
class Settings:
    """The settings of a client and where each was taken from. Printing them explains them, with secrets masked.

    Args:
        base_url: Scheme and host of the service, and a path if a gateway stands before it.
        credential: ``api_key``, ``token``, ``credentials`` or ``adc``.
        api_key: The API key, if that is the credential.
        project: On Vertex AI the project of jobs and models; on the Gemini API the quota project, if known.
        trusted_hosts: Hosts to which the credential may go in plain http.
        entries: What to show, in order.
        service: ``gemini`` or ``vertex``.
        location: The location on Vertex AI whose jobs are meant unless a name says otherwise.
        bucket: The bucket of Cloud Storage for training data, if one is set.
        storage: The address of Cloud Storage; None on the Gemini API, which needs none.
        quota_project: The project that pays for calls (``x-goog-user-project``); None for the credentials' own.
        fixed: Whether every call of the service goes to ``base_url``, whatever the location in a name.
    """

    base_url: str
    credential: str
    api_key: str | None = attrs.field(default=None, repr=False)
    project: str | None = None
    trusted_hosts: frozenset[str] = frozenset()
    entries: tuple[Setting, ...] = ()
    service: ServiceName = "gemini"
    location: str | None = None
    bucket: str | None = None
    storage: str | None = None
    quota_project: str | None = None
    fixed: bool = True

    def __iter__(self) -> Iterator[Setting]:
        return iter(self.entries)

    def __str__(self) -> str:
        return "\n".join(map(str, self.entries))


def resolve(
    environ: Mapping[str, str],
    *,
    api_key: str | None = None,
    token: object | None = None,
    credentials: object | None = None,
    project: str | int | None = None,
    base_url: str | None = None,
    trusted_hosts: object = None,
    vertexai: bool | None = None,
    location: str | None = None,
    bucket: str | None = None,
) -> Settings:
    """Return the settings that the arguments and the environment give; arguments win."""
    trusted = addresses.checked_hosts(trusted_hosts)
    trusted |= addresses.local_name(base_url, trusted)
    # An empty variable is how shells and container files say "not set".
    env = {key: value.strip() for key, value in environ.items() if value.strip()}
    service = _service(env, vertexai)
    if service.shown == _VERTEX_AI:
        named = _pick(env, "project", project, "GOOGLE_CLOUD_PROJECT")
        if not named and isinstance(theirs := getattr(credentials, "project_id", None), str):
            named = _Picked(theirs, "the credentials")
        credential = _vertex_credential(env, api_key, token, credentials, named.source)
        settings = _vertex(env, service, credential, named, base_url, location, bucket, trusted)
    else:
        for name, value in (("location", location), ("bucket", bucket)):
            if value is not None:
                what = f"{name} has a meaning on Vertex AI only, and this client talks to the Gemini API"
                raise SettingsError(what, Remedy("pass ", Argument("vertexai", True)), field=name)
        settings = _gemini(env, service, _credential(env, api_key, token, credentials), project, base_url, trusted)
    entries = list(settings.entries)
    if "GOOGLE_GENAI_API_VERSION" in env:
        entries.append(Setting("api_version", "each method's own", "GOOGLE_GENAI_API_VERSION is ignored"))
    if trusted:
        entries.append(Setting("trusted_hosts", ", ".join(sorted(trusted)), "arguments"))
    return attrs.evolve(settings, trusted_hosts=trusted, entries=tuple(entries))


def _service(env: Mapping[str, str], vertexai: object) -> Setting:
    if vertexai is not None:
        checks.instance("vertexai", vertexai, bool, "True or False", error=SettingsError)
        return Setting("service", _VERTEX_AI if vertexai else _GEMINI_API, "argument vertexai")
    asked = next((name for name in _VERTEX if env.get(name, "").lower() in {"1", "true"}), None)
    return Setting("service", _GEMINI_API, "default") if asked is None else Setting("service", _VERTEX_AI, asked)


def _gemini(
    env: Mapping[str, str],
    service: Setting,
    credential: _Credential,
    project: str | int | None,
    base_url: str | None,
    trusted: frozenset[str],
) -> Settings:
    url = _base_url(env, base_url, "GOOGLE_GEMINI_BASE_URL", trusted) or _Picked(DEFAULT_BASE_URL, "default")
    quota = _quota_project(env, _pick(env, "project", project))
    shown = Setting("project", quota.value or "none", quota.source)
    return Settings(
        base_url=str(url.value),
        credential=credential.kind,
        api_key=credential.key,
        project=quota.value,
        quota_project=quota.value,
        entries=(url.entry("base_url"), credential.entry, shown, service),
    )


def _vertex(
    env: Mapping[str, str],
    service: Setting,
    credential: _Credential,
    named: _Picked,
    base_url: str | None,
    location: str | None,
    bucket: str | None,
    trusted: frozenset[str],
) -> Settings:
    if not named:
        raise SettingsError(
            "project is missing: on Vertex AI every job and model belongs to one",
            Remedy("pass ", Argument("project")),
            Remedy("set the environment variable GOOGLE_CLOUD_PROJECT"),
            field="project",
        )
    project = _checked_project(named, addresses.PROJECT)
    place = _pick(env, "location", location, "GOOGLE_CLOUD_LOCATION") or _Picked(DEFAULT_LOCATION, "default")
    try:
        derived = addresses.aiplatform(place.value)
    except InvalidInput as error:
        name = "location" if place.source.startswith("argument") else place.source
        raise SettingsError(error.message.replace("location", name, 1), field=name) from None
    url = _base_url(env, base_url, "GOOGLE_VERTEX_BASE_URL", trusted)
    fixed = url is not None
    url = url or _Picked(derived, "the location")
    store = _storage(env, url if fixed else None, trusted)
    pail = _pick(env, "bucket", bucket, "GEMTUNE_BUCKET")
    # Whoever names a project as an argument means it to pay; the variable only says where things are.
    quota = _quota_project(env, named if named.source.startswith("argument") else _Picked(None, ""))
    return Settings(
        service="vertex",
        base_url=str(url.value),
        fixed=fixed,
        credential=credential.kind,
        project=project,
        quota_project=quota.value,
        location=str(place.value),
        bucket=_checked_bucket(pail),
        storage=str(store.value),
        entries=(
            url.entry("base_url"), credential.entry, named.entry("project"), service, place.entry("location"),
            store.entry("storage"), Setting("bucket", pail.value or "none", pail.source or "no bucket was given"),
        ),
    )  # fmt: skip


@attrs.frozen
class _Picked:
    """A value with the place it was taken from; None if there is none."""

    value: str | None
    source: str

    def __bool__(self) -> bool:
        return self.value is not None

    def entry(self, name: str) -> Setting:
        return Setting(name, str(self.value), self.source)


def _pick(env: Mapping[str, str], name: str, value: object, *variables: str) -> _Picked:
    """Return an argument, or else the first of some variables that is set."""
    if value is not None:
        # Of another type, it is refused by whoever reads it.
        return _Picked(str(value) if checks.is_whole(value) else value, f"argument {name}")  # type: ignore[arg-type]
    found = next((variable for variable in variables if variable in env), None)
    return _Picked(None, "") if found is None else _Picked(env[found], found)


def _quota_project(env: Mapping[str, str], given: _Picked) -> _Picked:
    quota = given or _pick(env, "project", None, "GOOGLE_CLOUD_QUOTA_PROJECT")
    return (
        attrs.evolve(quota, value=_checked_project(quota))
        if quota
        else _Picked(None, "the credentials, if they name one")
    )


def _checked_project(project: _Picked, form: re.Pattern[str] = _PROJECT) -> str:
    if not (isinstance(project.value, str) and form.fullmatch(project.value)):
        raise SettingsError(f"project must be a project id or number, not {project.value!a}", field="project")
    return project.value


def _checked_bucket(bucket: _Picked) -> str | None:
    if not bucket:
        return None
    found = _BUCKET.fullmatch(bucket.value) if isinstance(bucket.value, str) else None
    if found is None:
        name = "bucket" if bucket.source.startswith("argument") else bucket.source
        checks.refuse(
            name, "the name of a bucket such as 'my-bucket' or 'gs://my-bucket'", bucket.value, error=SettingsError
        )
    return found[1]


def _base_url(env: Mapping[str, str], base_url: str | None, variable: str, trusted: frozenset[str]) -> _Picked | None:
    if base_url is not None:
        return _Picked(addresses.checked_origin(base_url, "base_url", trusted), "argument base_url")
    if variable not in env:
        return None
    return _Picked(addresses.from_variable(variable, env[variable], trusted, "base_url"), variable)


def _storage(env: Mapping[str, str], base_url: _Picked | None, trusted: frozenset[str]) -> _Picked:
    """Return the address of Cloud Storage: an emulator has all services on one, and no gateway has this one."""
    name = "STORAGE_EMULATOR_HOST"
    if name in env:
        url = env[name] if "://" in env[name] else f"http://{env[name]}"  # as some of Google's clients write it
        return _Picked(addresses.from_variable(name, url, trusted), name)
    if base_url is not None and str(base_url.value).startswith("http://"):
        return base_url
    if base_url is not None and addresses.is_loopback(urlsplit(str(base_url.value)).hostname or ""):
        return base_url
    return _Picked(addresses.STORAGE, "default")


T = TypeVar("T")


def given(name: str, value: T | None, kind: type[T]) -> T | None:
    """Return an argument of the client's, or refuse one of another type."""
    return None if value is None else checks.instance(name, value, kind, f"a {kind.__name__}", error=SettingsError)


@attrs.frozen
class _Credential:
    """Which credential is used; what it holds is not shown."""

    kind: str
    key: str | None = attrs.field(repr=False)
    shown: str
    source: str

    @property
    def entry(self) -> Setting:
        return Setting("credential", self.shown, self.source)


def _credential(
    env: Mapping[str, str], api_key: str | None, token: object | None, credentials: object | None
) -> _Credential:
    given = {"api_key": api_key, "token": token, "credentials": credentials}
    # Which one was meant cannot be known, and the wrong one may be billed to somebody else.
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise SettingsError(f"give one of {' and '.join(named)}, not both", field=named[1])
    if api_key is not None:
        return _Credential("api_key", _checked_key(api_key, "api_key"), "API key ****", "argument api_key")
    if named:
        return _Credential(named[0], None, f"{named[0]} ****", f"argument {named[0]}")
    found = [name for name in _KEYS if name in env]
    # Google's own SDK takes GOOGLE_API_KEY and warns; so does this one, so that nothing changes with the SDK.
    if len(found) > 1 and env[found[0]] != env[found[1]]:
        _log.warning("both %s and %s are set; using %s", found[0], found[1], found[0])
    if found:
        return _Credential("api_key", _checked_key(env[found[0]], found[0]), "API key ****", found[0])
    return _Credential("adc", None, "Application Default Credentials", "no key was given")


def _vertex_credential(
    env: Mapping[str, str], api_key: object, token: object | None, credentials: object | None, project: str
) -> _Credential:
    """Return the credential for Vertex AI, where an API key alone can do next to nothing.

    As with Google's own SDK, a key in the environment gives way to a project. It may be there for other programs.
    """
    found = "api_key" if api_key is not None else next((name for name in _KEYS if name in env), None)
    if found is None or (api_key is None and (project or token is not None or credentials is not None)):
        chosen = _credential({}, None, token, credentials)
        if found is not None and chosen.kind == "adc":
            return attrs.evolve(chosen, source=f"{found} is not used on Vertex AI")
        return chosen
    without = Remedy("leave out ", Argument("api_key"), " and run: gcloud auth application-default login")
    if api_key is None:
        without = Remedy("name your project with ", Argument("project"), ", and the key is not used")
    raise SettingsError(
        f"{found} is an API key, which Vertex AI takes in express mode only: that answers prompts with Google's base "
        "models, and can neither tune nor list jobs nor ask a tuned model",
        without,
        Remedy("use the key on the Gemini API, with ", Argument("vertexai", False)),
        field=found,
    )


def _checked_key(key: object, name: str) -> Secret:
    wrong = odd_secret(key)
    if wrong or not isinstance(key, str):
        raise SettingsError(f"{name} {wrong}", field=name)
    return Secret(key.strip())
