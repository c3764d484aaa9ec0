"""What Prometheus is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    15.0,
    60.0,
)


class Metrics:
    """Rates, latencies by stage, queues and verdicts of one service."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._requests = Counter(
            "catalog_requests", "Requests answered", ["method", "route", "status"],
            registry=self._registry,
        )  # fmt: skip
        self._latency = Histogram(
            "catalog_request_seconds", "From the head of a request to its answer", ["route"],
            buckets=_SECONDS, registry=self._registry,
        )  # fmt: skip
        self._stages = Histogram(
            "catalog_stage_seconds",
            "Of a question: waiting for a thread to embed, embedding, and being looked up",
            ["stage"], buckets=_SECONDS, registry=self._registry,
        )  # fmt: skip
        self._verdicts = Counter(
            "catalog_verdicts", "Answers to which class a picture is", ["verdict"],
            registry=self._registry,
        )  # fmt: skip
        self._refused = Counter(
            "catalog_refused_pictures", "Pictures refused", ["reason"], registry=self._registry
        )
        self._under_way = Gauge(
            "catalog_under_way", "What waits or is being done", ["line"], registry=self._registry
        )
        self._generation = Gauge("catalog_generation", "Of the catalogue", registry=self._registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(method, route, str(status)).inc()
        self._latency.labels(route).observe(seconds)

    def stage(self, name: str, seconds: float) -> None:
        """Note how long a stage of a question took."""
        self._stages.labels(name).observe(seconds)

    def verdict(self, name: str) -> None:
        """Count an answer."""
        self._verdicts.labels(name).inc()

    def refused(self, reason: str) -> None:
        """Count a picture that was refused."""
        self._refused.labels(reason).inc()

    def watch(self, line: str, count: Callable[[], float]) -> None:
        """Tell of how many things are in a line."""
        self._under_way.labels(line).set_function(count)

    def told(self, generation: int) -> bytes:
        """All of it, in the format of Prometheus."""
        self._generation.set(generation)
        return generate_latest(self._registry)
