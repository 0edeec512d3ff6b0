"""The journal of an evaluation: a folder with one journal of a batch for each model, and one for each judge.

A file is found by its name, which follows from the model alone, so that nothing has to be looked up and nothing can get
out of step. ``index.json`` says for people what belongs to which file; an evaluation reads it only to add to it.

::

    run1/
      index.json
      gemini-3.7-flash-1c9e0b.journal               the answers of a model
      roman-numerals-x1f0-77ab02.journal
      judge-gemini-3.7-flash-5d01aa.journal         the verdicts of a judge
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import attrs

from gemtune import checks
from gemtune.batch.journal.locked import journal_error
from gemtune.errors import InvalidInput
from gemtune.remedy import Argument, Remedy
from gemtune.show.picture import short
from gemtune.wholefile import whole_file

INDEX: Final = "index.json"
_VERSION: Final = 1
_PROJECT: Final = re.compile(r"^projects/[^/]+/")
_ABOUT: Final = (
    "What belongs to which file of this evaluation. Each is the journal of a batch; the same "
    "evaluation continues from them when it is run again. This index is for people."
)


@attrs.define(eq=False)
class JournalFolder:
    """The folder of an evaluation's journals; everything here blocks.

    Args:
        path: The folder.
        files: What each file of this call holds, by its name.
    """

    path: Path
    files: dict[str, dict[str, object]] = attrs.field(factory=dict, init=False)

    @classmethod
    def at(cls, given: object) -> JournalFolder:
        """Return one at the path that was given.

        Raises:
            InvalidInput: It is no path.
        """
        try:
            return cls(Path(checks.file_path("journal", given)))
        except InvalidInput:
            checks.refuse("journal", "the path of a folder", given)

    def of_answers(self, model: str, turn: int, label: str) -> Path:
        """Return the journal of a model's answers.

        Args:
            model: Its name.
            turn: How many models of the same name stand before it.
            label: What the evaluation calls it.
        """
        name = f"{_slug(short(model))}-{_digest(_bare(model), turn)}.journal"
        self.files[name] = {"holds": "answers", "model": model, "label": label}
        return self.path / name

    def of_verdicts(self, model: str, metric: str) -> Path:
        """Return the journal of a judge's verdicts.

        Args:
            model: The name of the model that judges.
            metric: The name of the metric that it is.
        """
        name = f"judge-{_slug(short(model))}-{_digest(_bare(model), metric)}.journal"
        self.files[name] = {"holds": "verdicts", "model": model, "label": metric}
        return self.path / name

    def begin(self) -> None:
        """Make the folder.

        Raises:
            InvalidInput: Something else is there, or somebody else's file has the name of the index.
            JournalError: It cannot be made.
        """
        index = self.path / INDEX
        if not _is_ours(index):
            what = f"journal {self.path} holds {INDEX}, which is of no evaluation and would be replaced"
            raise InvalidInput(what, Remedy("name another ", Argument("journal")), field="journal")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            what = f"journal {self.path} is a file, and the journal of an evaluation is a folder"
            raise InvalidInput(what, Remedy("name another ", Argument("journal")), field="journal") from None
        except OSError as error:
            raise journal_error(self.path, f"cannot be made: {error.strerror}") from None

    def write_index(self) -> None:
        """Say what belongs to which file, of this call and of earlier ones.

        Raises:
            JournalError: It cannot be written.
        """
        path = self.path / INDEX
        known = files_of(path)
        files = {**known, **self.files}
        if files == known:
            return
        index = {"gemtune_evaluation": _VERSION, "about": _ABOUT, "files": files}
        try:
            with whole_file(path) as file:
                file.write(json.dumps(index, ensure_ascii=False, indent=2).encode("utf-8", "replace") + b"\n")
        except OSError as error:
            raise journal_error(path, f"could not be written: {error.strerror}") from None


def _is_ours(index: Path) -> bool:
    """Return whether an index may be written: there is none, or it is one, or it was one before somebody spoilt it."""
    try:
        said = index.read_bytes()
    except OSError:  # it is not there, or the write says what is wrong with it
        return True
    return not said.strip() or b'"gemtune_evaluation"' in said or any(index.parent.glob("*.journal"))


def files_of(path: Path) -> dict[str, Any]:
    """Return what an index says of its files; nothing if somebody has made something else of it."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        files = json.loads(path.read_bytes())["files"]
        return files if isinstance(files, dict) else {}
    return {}


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.")[:40] or "model"


def _bare(model: str) -> str:
    # A project is spelled by its id or by its number, and the model is the same.
    return _PROJECT.sub("", model)


def _digest(*parts: object) -> str:
    return hashlib.blake2b("\n".join(map(str, parts)).encode("utf-8", "replace"), digest_size=4).hexdigest()
