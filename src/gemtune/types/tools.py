"""Tools that a model may use (API page: caching#Tool)."""

from __future__ import annotations

import attrs

from gemtune.types.message import Json, Message, as_tuple
from gemtune.types.openenum import OpenEnum


class Behavior(OpenEnum):
    """Whether the model waits for a function."""

    UNSPECIFIED = "UNSPECIFIED"
    BLOCKING = "BLOCKING"
    NON_BLOCKING = "NON_BLOCKING"


class FunctionCallingMode(OpenEnum):
    """Whether the model may, must or must not call functions."""

    MODE_UNSPECIFIED = "MODE_UNSPECIFIED"
    AUTO = "AUTO"
    ANY = "ANY"
    NONE = "NONE"
    VALIDATED = "VALIDATED"


@attrs.frozen(kw_only=True)
class FunctionDeclaration(Message):
    """A function that the model may call.

    Args:
        name: At most 128 of letters, digits, ``_``, ``:``, ``.`` and ``-``.
        description: What it does.
        parameters: Its parameters as an OpenAPI 3.0 schema.
        response: What it returns as an OpenAPI 3.0 schema.
        behavior: Whether the model waits for it.
        parameters_json_schema: Instead of ``parameters``, a JSON Schema.
        response_json_schema: Instead of ``response``, a JSON Schema.
    """

    name: str
    description: str = ""
    parameters: Json | None = attrs.field(default=None, hash=False)
    response: Json | None = attrs.field(default=None, hash=False)
    behavior: Behavior | None = attrs.field(default=None, converter=attrs.converters.optional(Behavior))
    parameters_json_schema: Json | None = attrs.field(default=None, hash=False)
    response_json_schema: Json | None = attrs.field(default=None, hash=False)


@attrs.frozen(kw_only=True)
class Tool(Message):
    """What the model may use: functions of ours, or tools of the server with their settings as plain JSON.

    An empty mapping, ``Tool(google_search={})``, switches a server's tool on as it is.
    """

    function_declarations: tuple[FunctionDeclaration, ...] = attrs.field(default=(), converter=as_tuple)
    google_search_retrieval: Json | None = attrs.field(default=None, hash=False)
    code_execution: Json | None = attrs.field(default=None, hash=False)
    google_search: Json | None = attrs.field(default=None, hash=False)
    computer_use: Json | None = attrs.field(default=None, hash=False)
    url_context: Json | None = attrs.field(default=None, hash=False)
    file_search: Json | None = attrs.field(default=None, hash=False)
    mcp_servers: tuple[Json, ...] = attrs.field(default=(), converter=as_tuple, hash=False)
    google_maps: Json | None = attrs.field(default=None, hash=False)


@attrs.frozen(kw_only=True)
class FunctionCallingConfig(Message):
    """Which functions the model may call.

    Args:
        mode: Whether it may, must or must not.
        allowed_function_names: The only ones it may call, with mode ``ANY`` or ``VALIDATED``.
    """

    mode: FunctionCallingMode | None = attrs.field(
        default=None, converter=attrs.converters.optional(FunctionCallingMode)
    )
    allowed_function_names: tuple[str, ...] = attrs.field(default=(), converter=as_tuple)


@attrs.frozen(kw_only=True)
class ToolConfig(Message):
    """How the model uses its tools.

    Args:
        function_calling_config: Which functions it may call.
        retrieval_config: Language and place of the user, as plain JSON.
        include_server_side_tool_invocations: Whether replies show the server's own tool calls.
    """

    function_calling_config: FunctionCallingConfig | None = None
    retrieval_config: Json | None = attrs.field(default=None, hash=False)
    include_server_side_tool_invocations: bool = False
