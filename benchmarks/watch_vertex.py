"""The jobs of ``watch_server.py`` as Vertex AI shows them: the job, the list of all, and the curves of its run."""

import json
from urllib.parse import parse_qsl

PLACE = "projects/123/locations/us-central1"
BOARD = f"{PLACE}/tensorboards/9"
STORE = f"{PLACE}/metadataStores/default/contexts"


def ready(pieces):
    """JSON objects as bytes, joined, and where each first so many of them end."""
    ends, size = [0], 0
    for piece in pieces:
        size += len(piece) + 1
        ends.append(size - 1)
    return ",".join(pieces).encode(), ends


class VertexFace:
    """Answers for ``Jobs``; their snapshots are points of a curve here."""

    def __init__(self, jobs, stamp):
        self.jobs, self.created = jobs, stamp(jobs.begin)
        steps = range(1, jobs.steps + 1)
        self.curves = [
            ready(
                [
                    json.dumps(
                        {"wallTime": stamp(jobs.at(offset, step)), "step": str(step), "scalar": {"value": 1 / step}}
                    )
                    for step in steps
                ]
            )
            for offset in jobs.offsets
        ]

    def job(self, number, now, *, light=False):
        ended = self.jobs.done(number, now) == self.jobs.steps
        shown = {
            "name": f"{PLACE}/tuningJobs/{number}",
            "state": "JOB_STATE_SUCCEEDED" if ended else "JOB_STATE_RUNNING",
            "createTime": self.created,
            "updateTime": self.created,
        }
        if ended:
            endpoint = f"{PLACE}/endpoints/{number}"
            shown["tunedModel"] = {"model": f"{PLACE}/models/{number}@1", "endpoint": endpoint}
        if not light:
            shown["baseModel"] = "gemini-2.5-flash"
            shown["supervisedTuningSpec"] = {"trainingDatasetUri": "gs://b/o.jsonl", "hyperParameters": {}}
            shown["experiment"] = f"{STORE}/job-{number}"
            counted = {"tuningStepCount": str(self.jobs.steps)}
            shown["tuningDataStats"] = {"supervisedTuningDataStats": counted}
        return shown

    def points(self, number, now):
        joined, ends = self.curves[self.jobs.group(number)]
        head = f'{{"timeSeriesData":[{{"tensorboardTimeSeriesId":"{number}","valueType":"SCALAR","values":['
        return head.encode() + joined[: ends[self.jobs.done(number, now)]] + b"]}]}"

    def answer(self, path, query, now):
        """Return the kind of a request, and its reply."""
        name = path.partition("/projects/")[2].partition("/locations/us-central1/")[2]
        if name == "tuningJobs":
            given = dict(parse_qsl(query))
            first, size = int(given.get("pageToken", 0)), min(int(given.get("pageSize", 100)), 1000)
            last = min(first + size, self.jobs.jobs)
            page = {"tuningJobs": [self.job(number, now, light=True) for number in range(first, last)]}
            return "list", json.dumps(page | ({"nextPageToken": str(last)} if last < self.jobs.jobs else {})).encode()
        if name.startswith("tuningJobs/"):
            return "model", json.dumps(self.job(int(name.rpartition("/")[2]), now)).encode()
        if name.endswith(":batchRead"):
            return "operation", self.points(int(dict(parse_qsl(query))["timeSeries"].rpartition("/")[2]), now)
        if name.endswith("/contexts"):
            number = dict(parse_qsl(query))["filter"].rpartition("/job-")[2].strip('"')
            found = {"contexts": [{"name": f"{STORE}/job-{number}-run"}]}
        elif "/contexts/" in name:
            found = {"name": f"{PLACE}/{name}", "metadata": {"backing_tensorboard_resource": BOARD}}
        else:
            number = name.removesuffix("/timeSeries").split("/experiments/job-")[1].partition("/")[0]
            series = f"{BOARD}/experiments/job-{number}/runs/run/timeSeries/{number}"
            curve = {"name": series, "displayName": "/train_total_loss", "valueType": "SCALAR"}
            found = {"tensorboardTimeSeries": [curve]}
        return "found", json.dumps(found).encode()
