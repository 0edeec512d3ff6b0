"""Curves as Vertex AI keeps them, played from memory: contexts, runs, series, points, and samples of long ones."""

import random
from urllib.parse import parse_qsl, urlsplit

import attrs

from gemtune.protocol.call import Call
from vertex.service import PLACE

__all__ = ["BOARD", "EXPERIMENT", "RUN", "Played"]

ID = "tuning-experiment-20261001124454000000"
EXPERIMENT = f"{PLACE}/metadataStores/default/contexts/{ID}"
BOARD = f"{PLACE}/tensorboards/9000"
RUN = f"{BOARD}/experiments/{ID}/runs/tuning-experiment-run-1"


@attrs.define(slots=False)
class Played:
    """Answers calls like the service.

    Args:
        curves: The points by step, by the names of the metrics.
    """

    curves: dict[str, dict[int, float]]
    run_name: str = f"{EXPERIMENT}-tuning-experiment-run-1"
    board: object = BOARD
    asked: list[str] = attrs.field(factory=list, init=False)

    async def send(self, call: Call):
        """Answer a call, and read the answer as the call says."""
        self.asked.append(call.method)
        split = urlsplit(call.target)
        query = parse_qsl(split.query)
        path = split.path.removeprefix("/v1/")
        return call.decode(getattr(self, call.method.replace(".", "_"))(path, query, call.body))

    def contexts_get(self, path, query, body):
        return {"name": path, "metadata": {"backing_tensorboard_resource": self.board}}

    def contexts_list(self, path, query, body):
        assert dict(query)["filter"] == f'schema_title="system.ExperimentRun" AND parent_contexts:"{EXPERIMENT}"'
        return {"contexts": [{"name": self.run_name}]}

    def timeSeries_list(self, path, query, body):
        names = [
            {"name": f"{RUN}/timeSeries/{number}", "displayName": metric, "valueType": "SCALAR"}
            for number, metric in enumerate(self.curves)
        ]
        return {"tensorboardTimeSeries": names} if names else {}

    def tensorboards_batchRead(self, path, query, body):
        assert path == f"{BOARD}:batchRead"
        asked = [name.rpartition("/")[2] for key, name in query if key == "timeSeries"]
        return {
            "timeSeriesData": [
                {"tensorboardTimeSeriesId": number, "valueType": "SCALAR", "values": self._sample(int(number))}
                for number in asked
            ]
        }

    def _sample(self, number: int):
        points = _points(list(self.curves.values())[number])
        return (
            points if len(points) <= 1000 else sorted(random.sample(points, 1000), key=lambda each: int(each["step"]))
        )

    def timeSeries_export(self, path, query, body):
        number = int(path.removesuffix(":exportTensorboardTimeSeries").rpartition("/")[2])
        points = _points(list(self.curves.values())[number])
        begin = 700 if b"pageToken" in body else 0
        page = {"timeSeriesDataPoints": points[begin:]} if begin else {"timeSeriesDataPoints": points[:700]}
        return page | ({} if begin else {"nextPageToken": "700"})


def _points(curve: dict[int, float]) -> list[dict[str, object]]:
    return [
        {
            "wallTime": f"2026-10-01T20:{step // 60 % 60:02d}:{step % 60:02d}Z",
            "step": str(step),
            "scalar": {"value": value},
        }
        for step, value in curve.items()
    ]
