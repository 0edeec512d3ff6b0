"""What a prompt and an answer are made of: contents of parts (API page: caching#Content)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import attrs

from gemtune.errors import InvalidInput
from gemtune.types.message import EMPTY, Json, Message
from gemtune.types.openenum import OpenEnum


class Language(OpenEnum):
    """The language of generated code."""

    LANGUAGE_UNSPECIFIED = "LANGUAGE_UNSPECIFIED"
    PYTHON = "PYTHON"


class Outcome(OpenEnum):
    """How the execution of generated code ended."""

    OUTCOME_UNSPECIFIED = "OUTCOME_UNSPECIFIED"
    OUTCOME_OK = "OUTCOME_OK"
    OUTCOME_FAILED = "OUTCOME_FAILED"
    OUTCOME_DEADLINE_EXCEEDED = "OUTCOME_DEADLINE_EXCEEDED"


class Scheduling(OpenEnum):
    """When the model takes up a function's response."""

    SCHEDULING_UNSPECIFIED = "SCHEDULING_UNSPECIFIED"
    SILENT = "SILENT"
    WHEN_IDLE = "WHEN_IDLE"
    INTERRUPT = "INTERRUPT"


class ServerTool(OpenEnum):
    """A tool that the server runs itself (the API calls it ToolType)."""

    TOOL_TYPE_UNSPECIFIED = "TOOL_TYPE_UNSPECIFIED"
    GOOGLE_SEARCH_WEB = "GOOGLE_SEARCH_WEB"
    GOOGLE_SEARCH_IMAGE = "GOOGLE_SEARCH_IMAGE"
    URL_CONTEXT = "URL_CONTEXT"
    GOOGLE_MAPS = "GOOGLE_MAPS"
    FILE_SEARCH = "FILE_SEARCH"


@attrs.frozen(kw_only=True)
class Blob(Message):
    """Bytes sent inline.

    Args:
        mime_type: Their media type, such as ``image/png``.
        data: The bytes; base64 on the wire.
    """

    mime_type: str
    data: bytes


@attrs.frozen(kw_only=True)
class FileData(Message):
    """A file that the service can fetch.

    Args:
        mime_type: Its media type.
        file_uri: Its address.
    """

    mime_type: str = ""
    file_uri: str


@attrs.frozen(kw_only=True)
class FunctionCall(Message):
    """A function that the model wants called.

    Args:
        id: What ties the response to this call.
        name: The function.
        args: Its arguments.
    """

    id: str = ""
    name: str
    args: Json = attrs.field(default=EMPTY, hash=False)


@attrs.frozen(kw_only=True)
class FunctionResponsePart(Message):
    """Media in a function's response."""

    inline_data: Blob | None = None


@attrs.frozen(kw_only=True)
class FunctionResponse(Message):
    """What a called function returned.

    Args:
        id: The call's id.
        name: The function.
        response: What it returned, a JSON object.
        parts: Media that belongs to it.
        will_continue: Whether more responses follow (for non-blocking functions).
        scheduling: When the model takes it up (for non-blocking functions).
    """

    id: str = ""
    name: str
    response: Json = attrs.field(default=EMPTY, hash=False)
    parts: tuple[FunctionResponsePart, ...] = ()
    will_continue: bool = False
    scheduling: Scheduling | None = None


@attrs.frozen(kw_only=True)
class ExecutableCode(Message):
    """Code that the model wrote and the service ran."""

    id: str = ""
    language: Language = Language.LANGUAGE_UNSPECIFIED
    code: str = ""


@attrs.frozen(kw_only=True)
class CodeExecutionResult(Message):
    """What came of the model's code: its standard output, or what went wrong."""

    id: str = ""
    outcome: Outcome = Outcome.OUTCOME_UNSPECIFIED
    output: str = ""


@attrs.frozen(kw_only=True)
class ToolCall(Message):
    """A call of a server's tool; send it back as it came."""

    id: str = ""
    tool_type: ServerTool = ServerTool.TOOL_TYPE_UNSPECIFIED
    args: Json = attrs.field(default=EMPTY, hash=False)


@attrs.frozen(kw_only=True)
class ToolResponse(Message):
    """What a server's tool returned; send it back as it came."""

    id: str = ""
    tool_type: ServerTool = ServerTool.TOOL_TYPE_UNSPECIFIED
    response: Json = attrs.field(default=EMPTY, hash=False)


@attrs.frozen(kw_only=True)
class VideoMetadata(Message):
    """Which part of a video to look at.

    Args:
        start_offset: Such as ``"12.5s"``.
        end_offset: Such as ``"20s"``.
        fps: Frames per second to look at.
    """

    start_offset: str = ""
    end_offset: str = ""
    fps: float = 0.0


@attrs.frozen(kw_only=True)
class Part(Message):
    """One piece of a content: exactly one thing, and what is said about it.

    Args:
        text: Text.
        inline_data: Bytes.
        function_call: A function the model wants called.
        function_response: What it returned.
        file_data: A file the service can fetch.
        executable_code: Code the model wrote.
        code_execution_result: What came of it.
        tool_call: A call of a server's tool.
        tool_response: What it returned.
        part_metadata: The caller's own notes.
        thought: Whether this is a thought and no answer.
        thought_signature: What lets the model take up the thought again; send it back as it came.
        video_metadata: Which part of a video to look at.
        media_resolution: How closely to look at media, as plain JSON.
    """

    SIDE: ClassVar = frozenset({"part_metadata", "thought_signature", "video_metadata", "media_resolution"})

    text: str | None = None
    inline_data: Blob | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None
    file_data: FileData | None = None
    part_metadata: Json | None = attrs.field(default=None, hash=False)
    executable_code: ExecutableCode | None = None
    code_execution_result: CodeExecutionResult | None = None
    thought: bool = False
    thought_signature: bytes = b""
    video_metadata: VideoMetadata | None = None
    tool_call: ToolCall | None = None
    tool_response: ToolResponse | None = None
    media_resolution: Json | None = attrs.field(default=None, hash=False)

    @classmethod
    def from_text(cls, text: str) -> Part:
        """Return a part of text."""
        return cls(text=text)

    @classmethod
    def from_bytes(cls, data: bytes, mime_type: str) -> Part:
        """Return a part of inline bytes.

        Args:
            data: The bytes.
            mime_type: Their media type, such as ``image/png``.
        """
        return cls(inline_data=Blob(mime_type=mime_type, data=bytes(data)))

    @classmethod
    def from_uri(cls, file_uri: str, mime_type: str = "") -> Part:
        """Return a part that names a file.

        Args:
            file_uri: The file's address.
            mime_type: Its media type.
        """
        return cls(file_data=FileData(file_uri=file_uri, mime_type=mime_type))

    @classmethod
    def from_function_response(cls, call: FunctionCall, response: Json) -> Part:
        """Return the answer to a function call.

        Args:
            call: The call from the model's reply.
            response: What the function returned, a JSON object.
        """
        return cls(function_response=FunctionResponse(id=call.id, name=call.name, response=response))


def _to_part(value: object) -> Part:
    if isinstance(value, Part):
        return value
    if isinstance(value, str):
        return Part(text=value)
    raise InvalidInput(
        f"a part must be a str or a Part, not {type(value).__name__}: for media use Part.from_bytes or from_uri",
        field="parts",
    )


def _to_parts(values: str | Part | Iterable[str | Part]) -> tuple[Part, ...]:
    if isinstance(values, str | Part):
        return (_to_part(values),)
    if isinstance(values, Iterable) and not isinstance(values, bytes | dict):
        return tuple(map(_to_part, values))
    raise InvalidInput(f"parts must be a list of str and Part, not {type(values).__name__}", field="parts")


@attrs.frozen(kw_only=True)
class Content(Message):
    """What one side says in one turn.

    Args:
        parts: The pieces; a str or Part, or a list of them.
        role: ``user`` or ``model``; empty for a system instruction.
    """

    parts: tuple[Part, ...] = attrs.field(default=(), converter=_to_parts)
    role: str = ""

    @property
    def text_or_none(self) -> str | None:
        """The joined text of the parts that are not thoughts, or None if no part is text."""
        parts = self.parts
        if len(parts) == 1 and not parts[0].thought:
            return parts[0].text
        texts = [part.text for part in parts if part.text is not None and not part.thought]
        return "".join(texts) if texts else None


ContentLike = str | Part | Content | Iterable[str | Part | Content]
"""What may stand for a prompt: text, a part, a whole content, or a list of these."""


def to_content(value: str | Part | Content | Iterable[str | Part], *, role: str = "") -> Content:
    """Return one content.

    Args:
        value: Text, a part, a list of these, or a content, which is returned as it is.
        role: The role of what is not yet a content; empty for a system instruction.

    Raises:
        InvalidInput: It is none of these.
    """
    return value if isinstance(value, Content) else Content(parts=value, role=role)


def to_contents(value: ContentLike) -> tuple[Content, ...]:
    """Return a prompt as contents.

    Args:
        value: Text, a part, a content, or a list of these. Strings and parts that follow each other make one
            turn of the user.

    Returns:
        At least one content.

    Raises:
        InvalidInput: The value is empty or holds something else.
    """
    if isinstance(value, str | Part):
        return (Content(parts=value, role="user"),)
    if isinstance(value, Content):
        return (value,)
    if isinstance(value, bytes | dict) or not isinstance(value, Iterable):
        raise InvalidInput(
            f"a prompt must be a str, a Part, a Content or a list of these, not {type(value).__name__}",
            field="contents",
        )
    contents: list[Content] = []
    run: list[Part] = []
    for number, item in enumerate(value):
        if isinstance(item, Content):
            if run:
                contents.append(Content(parts=run, role="user"))
                run = []
            contents.append(item)
        elif isinstance(item, str | Part):
            run.append(_to_part(item))
        else:
            raise InvalidInput(
                f"item {number} of the prompt is a {type(item).__name__}: give a str, a Part or a Content",
                field="contents",
            )
    if run:
        contents.append(Content(parts=run, role="user"))
    if not contents:
        raise InvalidInput("the prompt is empty: give at least one text, Part or Content", field="contents")
    return tuple(contents)
