"""The bare loop: nothing but the calls that bind, with as many on their way at once as it is told, in a process of its own.

`python -m scheduler.benchlive.bare --kubeconfig F --namespace NS --in-flight N` (with `--paced`: at most N, as many as the scheduler's own limit
finds best) reads one JSON list of pairs of pod and node from its input,
says ``ready``, waits for a line, binds, and answers with one JSON object. It uses the same door to the API server as the scheduler. What is
measured of it is read off a watch by `scheduler.benchlive.floor`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence

from scheduler.kube.api import PODS, Api, connect
from scheduler.kube.bindings.pace import Pace


async def bind_all(api: Api, namespace: str, seats: Sequence[tuple[str, str]], in_flight: int) -> None:
    """Bind every pod to its node; so many callers take one seat after the other."""
    left = iter(seats)
    await asyncio.gather(*(_caller(api, namespace, left) for _ in range(min(in_flight, len(seats)))))


async def bind_paced(api: Api, namespace: str, seats: Sequence[tuple[str, str]], most: int) -> None:
    """Bind every pod to its node; how many calls are on their way is the scheduler's own limit to find."""
    pace = Pace(most=most)

    async def one(pod: str, node: str) -> None:
        async with pace.slot():
            await _bind(api, namespace, pod, node)

    await asyncio.gather(*(one(pod, node) for pod, node in seats))


async def _caller(api: Api, namespace: str, left: Iterator[tuple[str, str]]) -> None:
    for pod, node in left:
        await _bind(api, namespace, pod, node)


async def _bind(api: Api, namespace: str, pod: str, node: str) -> None:
    metadata = {"name": pod, "namespace": namespace}
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": {"apiVersion": "v1", "kind": "Node", "name": node}}
    await api.post(PODS.path(namespace, pod, "binding"), body)


async def _main(kubeconfig: str, namespace: str, in_flight: int, *, paced: bool) -> None:
    seats = json.loads(sys.stdin.readline())
    async with await connect(kubeconfig) as api:
        await api.get(PODS.path(namespace), {"limit": 1})  # a scheduler has a connection already, too
        _say("ready")
        sys.stdin.readline()
        used, began = time.process_time(), time.perf_counter()
        await (bind_paced if paced else bind_all)(api, namespace, seats, in_flight)
        _say(json.dumps({"seconds": time.perf_counter() - began, "cpu": time.process_time() - used}))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--in-flight", type=int, required=True)
    parser.add_argument("--paced", action="store_true")
    asked = parser.parse_args()
    asyncio.run(_main(asked.kubeconfig, asked.namespace, asked.in_flight, paced=asked.paced))
