"""A server of tuning jobs that costs next to nothing: a bare asyncio.Protocol that cuts its replies out of ready bytes.

Every job shows a step each ``gap`` seconds. A few, at most 20, end one by one within ``span`` seconds from ``first``
on; the others are somewhere in the first third of their life and go on. Times are those of the wall clock, so
that a client on the same machine can say how late it learned of a step. The Gemini API and Vertex AI each have as many
jobs. Prints its URL and serves until its standard input is closed.
"""

import asyncio
import json
import sys
import time
from datetime import UTC, datetime

from watch_vertex import VertexFace, ready

GROUPS = 50
ENDING = 20


def stamp(seconds):
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


class Jobs:
    """The truth, and the bytes that tell it: all jobs of a group share their snapshots."""

    def __init__(self, jobs, steps, gap, first, span):
        self.jobs, self.steps, self.gap = jobs, steps, gap
        self.begin = time.time() + 1.0
        self.ending = min(ENDING, jobs // 2) if span else 0
        ends = [first + span * (number + 0.5) / self.ending for number in range(self.ending)]
        self.offsets = [end - steps * gap for end in ends]
        self.offsets += [-(group + 0.5) / GROUPS * steps * gap / 3 for group in range(GROUPS)]
        self.shown, self.ends = [], []
        for offset in self.offsets:
            pieces = [
                json.dumps(
                    {
                        "step": step,
                        "epoch": step // 50,
                        "meanLoss": 1 / step,
                        "computeTime": stamp(self.at(offset, step)),
                    }
                )
                for step in range(1, steps + 1)
            ]
            joined, ends = ready(pieces)
            self.shown.append(joined)
            self.ends.append(ends)
        self.requests = {"list": 0, "model": 0, "operation": 0, "found": 0}
        self.vertex = VertexFace(self, stamp)

    def group(self, number):
        return number if number < self.ending else self.ending + number % GROUPS

    def at(self, offset, step):
        return self.begin + offset + step * self.gap

    def done(self, number, now):
        return max(0, min(self.steps, int((now - self.begin - self.offsets[self.group(number)]) / self.gap)))

    def snapshots(self, number, done):
        group = self.group(number)
        return self.shown[group][: self.ends[group][done]]

    def state(self, number, now):
        return "ACTIVE" if self.done(number, now) == self.steps else "CREATING"

    def model(self, number, now):
        done = self.done(number, now)
        state = "ACTIVE" if done == self.steps else "CREATING"
        head = f'{{"name":"tunedModels/job-{number}","state":"{state}","createTime":"{stamp(self.begin)}",'
        return head.encode() + b'"tuningTask":{"snapshots":[' + self.snapshots(number, done) + b"]}}"

    def operation(self, number, now):
        done = self.done(number, now)
        name = f"tunedModels/job-{number}"
        head = (
            f'{{"name":"{name}/operations/op","metadata":{{"@type":"type.googleapis.com/google.ai.generativelanguage.v1beta.'
            f'CreateTunedModelMetadata","tunedModel":"{name}","totalSteps":{self.steps},"completedSteps":{done},"snapshots":['
        )
        tail = b"]}"
        if done == self.steps:
            response = b'"response":{"@type":"type.googleapis.com/google.ai.generativelanguage.v1beta.TunedModel",'
            tail += b',"done":true,' + response + self.model(number, now)[1:]
        return head.encode() + self.snapshots(number, done) + tail + b"}"

    def light(self, first, size, now):
        last = min(first + size, self.jobs)
        created = stamp(self.begin)
        entries = ",".join(
            f'{{"name":"tunedModels/job-{number}","state":"{self.state(number, now)}","createTime":"{created}"}}'
            for number in range(first, last)
        )
        token = f',"nextPageToken":"{last}"' if last < self.jobs else ""
        return f'{{"tunedModels":[{entries}]{token}}}'.encode()

    def answer(self, target):
        now = time.time()
        path, _, query = target.partition("?")
        if path == "/stats":
            return json.dumps(self.requests).encode()
        if "/projects/" in path:
            kind, body = self.vertex.answer(path, query, now)
            self.requests[kind] += 1
            return body
        parts = path.removeprefix("/v1beta/").split("/")
        if len(parts) == 1:
            self.requests["list"] += 1
            given = dict(pair.partition("=")[::2] for pair in query.split("&"))
            return self.light(int(given.get("pageToken", 0)), min(int(given.get("pageSize", 10)), 1000), now)
        number = int(parts[1].rpartition("-")[2])
        if len(parts) == 2:
            self.requests["model"] += 1
            return self.model(number, now)
        self.requests["operation"] += 1
        operation = self.operation(number, now)
        return operation if len(parts) == 4 else b'{"operations":[' + operation + b"]}"


class Canned(asyncio.Protocol):
    def __init__(self, jobs):
        self.jobs, self.received = jobs, b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            target = self.received[: self.received.index(b"\r\n")].split(b" ")[1].decode()
            self.received = self.received[end + 4 :]
            body = self.jobs.answer(target)
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            self.transport.write(head.encode() + body)


async def main(jobs, steps, gap, first, span):
    served = Jobs(int(jobs), int(steps), float(gap), float(first), float(span))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Canned(served), "127.0.0.1", 0, backlog=4096)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    closed = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), closed.set)
    async with server:
        await closed.wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
