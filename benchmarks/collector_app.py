"""An app of one process that answers requests with a call of its own, and measures them: a line of JSON at the end.

Arguments: seconds to go on. It stands for a server under load: the work of a request, its spans with payloads, and
whatever exporters do meanwhile share one interpreter.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time

from opentelemetry import trace
from opentelemetry.trace import SpanKind
from pymongo import MongoClient

THREADS = 2
PAUSE = 0.01


def main(seconds: float) -> None:
    """Send requests at a steady pace from some threads; print their percentiles."""
    items = MongoClient[dict[str, object]](os.environ["MONGODB_URI"]).bench.items
    tracer, latencies = trace.get_tracer("app"), list[float]()
    end = time.monotonic() + seconds

    def serve() -> None:
        while time.monotonic() < end:
            began = time.perf_counter()
            with tracer.start_as_current_span("GET /items", kind=SpanKind.SERVER):
                for number in range(3):
                    items.find_one({"_id": number})
            latencies.append(time.perf_counter() - began)
            time.sleep(PAUSE)

    threads = [threading.Thread(target=serve) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    latencies.sort()
    shares = {f"p{share}": latencies[len(latencies) * share // 100] * 1e6 for share in (50, 90, 99)}
    print(json.dumps({"requests": len(latencies), **shares}), flush=True)


main(float(sys.argv[1]))
