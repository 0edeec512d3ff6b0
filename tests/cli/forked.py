"""Runs command lines in forks of a process that has loaded gemtune already: a process each, without the second that
loading takes. Started as a script; reads a request per line, writes an exit code per line."""

import gc
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs


@attrs.frozen
class Ended:
    """What a command did."""

    code: int
    out: bytes
    err: bytes


@attrs.define
class Forks:
    """The process that forks, seen from a test."""

    folder: Path
    process: subprocess.Popen[str] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, argvs: dict[str, list[str]], **streams: str) -> dict[str, Ended]:
        """Run commands beside each other; a stream is ``closed``, ``gone`` (nobody reads it), or a path."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        asked = []
        for number, argv in enumerate(argvs.values()):
            files = {name: self.folder / f"{number}.{name}" for name in ("stdout", "stderr")}
            for path in files.values():
                path.write_bytes(b"")
            where = {name: str(path) for name, path in files.items()} | streams
            asked.append({"argv": argv, "env": dict(os.environ), "cwd": str(Path.cwd()), **where})
        self.process.stdin.write(f"{json.dumps(asked)}\n")
        self.process.stdin.flush()
        codes = json.loads(self.process.stdout.readline())
        return {
            name: Ended(code, *((self.folder / f"{number}.{one}").read_bytes() for one in ("stdout", "stderr")))
            for number, (name, code) in enumerate(zip(argvs, codes, strict=True))
        }

    def close(self) -> None:
        self.process.communicate()


def _become(asked: dict[str, Any]) -> None:
    """Take on the streams of a command, as the interpreter finds them at its start."""
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["cwd"])
    sys.argv[1:] = asked["argv"]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        what = asked.get(name, os.devnull)
        if what == "gone":
            reader, opened = os.pipe()
            os.close(reader)
        elif what == "closed":
            os.close(number)
            setattr(sys, name, None)
            continue
        else:
            opened = os.open(what, os.O_RDWR)
        os.dup2(opened, number)
        os.close(opened)
        stream = open(number, "w" if number else "r", encoding="utf-8", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


if __name__ == "__main__":
    import anyio._backends._asyncio  # noqa: F401

    import gemtune.batch.journal.file
    import gemtune.cli.jobs.follow
    import gemtune.client
    import gemtune.emulator.serve
    import gemtune.watch  # noqa: F401
    from gemtune.cli import main

    gc.freeze()  # what is loaded is shared with the children, who would copy it all to collect it at their end
    for line in sys.stdin:
        children = []
        for asked in json.loads(line):
            child = os.fork()
            if not child:
                _become(asked)
                sys.exit(main())
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        sys.stdout.write(f"{json.dumps(codes)}\n")
        sys.stdout.flush()
