"""A nightly job: reads readings, sums them up by sensor, writes the sums in bulk. It knows nothing of timetracer."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from bson import Decimal128, Int64
from pymongo import MongoClient, UpdateOne
from pymongo.database import Database

Document = dict[str, Any]


def seed(database: Database[Document]) -> None:
    """Fill an empty database with 500 readings, some of them broken."""
    if database.readings.estimated_document_count():
        return
    database.readings.insert_many(
        {"_id": number, "sensor": f"s{number % 4}", "value": "?" if number % 97 == 0 else f"{number % 31}.5"}
        for number in range(500)
    )


def transform(readings: Iterable[Document]) -> tuple[dict[str, list[Decimal]], int]:
    """Give the good values of each sensor, and how many readings were broken."""
    values: dict[str, list[Decimal]] = {}
    broken = 0
    for reading in readings:
        if reading["value"] == "?":
            broken += 1
        else:
            values.setdefault(reading["sensor"], []).append(Decimal(reading["value"]))
    return values, broken


def store(database: Database[Document], values: dict[str, list[Decimal]]) -> int:
    """Write one summary a sensor; give how many are stored."""
    now = datetime.now(UTC)
    updates = [
        UpdateOne(
            {"_id": sensor},
            {"$set": {"count": Int64(len(found)), "sum": Decimal128(sum(found)), "updated": now}},
            upsert=True,
        )
        for sensor, found in sorted(values.items())
    ]
    result = database.summaries.bulk_write(updates, ordered=False)
    return result.upserted_count + result.matched_count


def main(arguments: list[str]) -> int:
    """Run the job; the exit status is 1 with ``--strict`` when a reading is broken."""
    client: MongoClient[Document] = MongoClient(os.environ.get("MONGODB_URI", "mongodb://localhost:27017/"))
    database = client.timetracer_example_etl
    seed(database)
    values, broken = transform(database.readings.find(batch_size=100).sort("_id"))
    stored = store(database, values)
    for summary in database.summaries.find().sort("_id"):
        print(f"{summary['_id']}: {summary['count']} readings, sum {summary['sum']}")
    print(f"{stored} summaries stored, {broken} readings broken")
    return 1 if broken and "--strict" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
