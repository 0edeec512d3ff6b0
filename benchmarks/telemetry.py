"""What telemetry costs per generate_content call: off, api only, and with an SDK; CPU and Python function calls.

Each way runs in a process of its own, in turn, over a transport that answers at once. How to read it is in README.md.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from statistics import median
from typing import Any

WAYS = ("off", "no opentelemetry", "api only", "sdk, nothing sampled", "sdk", "sdk, content")
REPLY = {
    "candidates": [{"content": {"parts": [{"text": "LXIV"}], "role": "model"}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 3, "totalTokenCount": 7},
    "modelVersion": "m",
    "responseId": "r",
}


def telemetry_of(way: str) -> Any:
    if way == "off":
        return False
    if way == "no opentelemetry":
        return None
    from gemtune.telemetry import Telemetry

    if way == "api only":
        return True
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

    traces = TracerProvider(sampler=ALWAYS_OFF if "nothing" in way else ALWAYS_ON)
    traces.add_span_processor(BatchSpanProcessor(InMemorySpanExporter(), max_queue_size=100_000))
    meters = MeterProvider([InMemoryMetricReader()])
    return Telemetry(tracer_provider=traces, meter_provider=meters, content="content" in way)


async def spend(way: str, calls: int) -> dict[str, float]:
    """CPU in µs, and Python function calls, of one call."""
    import httpx

    from gemtune import Client

    body = json.dumps(REPLY).encode()

    async def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "application/json"}, content=body)

    options: dict[str, Any] = {"api_key": "k", "transport": httpx.MockTransport(answer)}
    async with Client(telemetry=telemetry_of(way), **options) as client:
        for _ in range(300):
            await client.generate_content("m", "LXIII")
        began = time.process_time()
        for _ in range(calls):
            await client.generate_content("m", "LXIII")
        cpu = (time.process_time() - began) / calls * 1e6
        count = 0

        def profile(_frame: object, event: str, _arg: object) -> None:
            nonlocal count
            count += event == "call"

        sys.setprofile(profile)
        for _ in range(100):
            await client.generate_content("m", "LXIII")
        sys.setprofile(None)
    return {"cpu": cpu, "functions": count / 100}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--way", choices=WAYS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(asyncio.run(spend(options.way, options.calls))))
        return
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way, runs in found.items():
            command = [sys.executable, __file__, "--calls", str(options.calls), "--way", way]
            runs.append(json.loads(subprocess.run(command, capture_output=True, check=True).stdout))
    base = median(run["cpu"] for run in found["off"])
    for way, runs in found.items():
        cpu, functions = median(run["cpu"] for run in runs), median(run["functions"] for run in runs)
        print(f"{way:24} {cpu:7.1f} µs {cpu - base:+7.1f} µs {functions:8.1f} function calls")


if __name__ == "__main__":
    main()
