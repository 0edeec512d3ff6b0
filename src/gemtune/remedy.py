"""What to do about an error, as data, so that it can be said in Python and in the shell.

The same error is read by two people. One wrote ``client.tune(..., tuned_model_id="x")`` and needs to hear of
``if_exists='adopt'``; the other typed ``gemtune tune --id x`` and needs ``--if-exists adopt``. A message that spells
out one of them is wrong for the other reader, and rewriting finished sentences breaks silently as soon as one is
edited. So what happened is a plain message without the syntax of either, and a remedy is a phrase in which every
argument and call stands as a value. ``str(error)`` words these values for Python; the command words them with a table
of its options (``gemtune.cli.remedies``) and leaves out a remedy for which it has no option.

::

    AlreadyExists("tunedModels/x exists already",
                  Remedy("choose another ", Argument("tuned_model_id")),
                  Remedy("take it over with ", Argument("if_exists", "adopt")))

    Python: tunedModels/x exists already; choose another tuned_model_id, or take it over with if_exists='adopt'
    shell:  tunedModels/x exists already; choose another --id, or take it over with --if-exists adopt
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs


@attrs.frozen
class Argument:
    """An argument that you may give or change.

    Args:
        name: Its name in Python.
        value: What to give for it; None leaves that to you.
    """

    name: str
    value: str | bool | None = None

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}={self.value!r}"


@attrs.frozen
class ClientCall:
    """A call of a client's method that helps.

    Args:
        method: The method's path below the client, such as ``tuned_models.get``.
        resource: The name of what it is called for, if it takes one.
    """

    method: str
    resource: str | None = None

    def __str__(self) -> str:
        return f"client.{self.method}({'' if self.resource is None else repr(self.resource)})"


Wording = Callable[[Argument | ClientCall], str | None]
"""How a reader is told of an argument or a call; None if there is nothing like it where they work."""


@attrs.frozen(init=False)
class Remedy:
    """One thing that you can do about an error: a phrase in which arguments and calls stand as values."""

    words: tuple[str | Argument | ClientCall, ...]

    def __init__(self, *words: str | Argument | ClientCall) -> None:
        self.__attrs_init__(words)

    def worded(self, wording: Wording) -> str | None:
        """Return the phrase, or None if the reader has nothing like one of its arguments or calls."""
        said = [word if isinstance(word, str) else wording(word) for word in self.words]
        return None if None in said else "".join(word for word in said if word)


def advice(message: str, remedies: Iterable[Remedy], wording: Wording) -> str:
    """Return what happened, followed by the remedies as alternatives."""
    said = [phrase for remedy in remedies if (phrase := remedy.worded(wording))]
    if not said:
        return message
    ended = message.endswith(".") and not message.endswith("...")  # as the service's own sentences are
    return f"{message[:-1] if ended else message}; {', or '.join(said)}"
