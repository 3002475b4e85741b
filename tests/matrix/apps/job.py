"""A nightly job over PyMongo. ``VARIANT`` selects a change to it; each is named in ``variants.py``."""

from __future__ import annotations

import logging
import os
import random
import secrets
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo import MongoClient

Document = dict[str, Any]

VARIANT = os.environ.get("VARIANT", "unchanged")
shop = MongoClient[Document](os.environ["MONGODB_URI"]).timetracer_matrix_job


def summarize() -> Document:
    """Sum up what is there: two reads that do not depend on one another."""
    wanted = {"kind": "sale", "count": {"$gt": 0}} if VARIANT == "changed_query" else {"kind": "sale"}
    if VARIANT == "extra_call":
        shop.stock.find_one({"_id": "tea"})
    if VARIANT == "swapped_reads":
        settings = shop.settings.find_one({"_id": "job"})
        sales = list(shop.sales.find(wanted).sort("_id"))
    elif VARIANT == "parallel_reads":
        with ThreadPoolExecutor(2) as pool:
            one = pool.submit(lambda: list(shop.sales.find(wanted).sort("_id")))
            other = pool.submit(shop.settings.find_one, {"_id": "job"})
            sales, settings = one.result(), other.result()
    else:
        sales = list(shop.sales.find(wanted).sort("_id"))
        settings = shop.settings.find_one({"_id": "job"})
    total = sum(sale["count"] for sale in sales) * (settings or {})["factor"]
    return {"total": total + (1 if VARIANT == "changed_value" else 0), "sales": len(sales)}


if VARIANT == "renamed":
    add_it_all_up = summarize

    def summarize() -> Document:
        """The same by a function more, under another name."""
        return add_it_all_up()


def store(summary: Document) -> None:
    """Write the summary and that it was written."""
    key = ObjectId("6" * 24) if VARIANT == "changed_id" else ObjectId("5" * 24)
    day = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=VARIANT == "changed_date")
    document = {"_id": key, "day": day, **summary}
    summaries = shop.drafts if VARIANT == "other_collection" else shop.summaries
    if VARIANT == "swapped_writes":
        shop.runs.insert_one({"_id": "run", "sales": summary["sales"]})
        summaries.insert_one(document)
        return
    summaries.insert_one(document)
    if VARIANT != "dropped_write":
        shop.runs.insert_one({"_id": "run", "sales": summary["sales"]})


def tidy() -> None:
    """Mark what is done; whatever goes wrong with that is no reason to fail."""
    field = "finished" if VARIANT == "swallowed_miss" else "done"
    try:
        shop.sales.update_many({"kind": "sale"}, {"$set": {field: True}})
    except Exception:  # noqa: BLE001 - what this function is about
        logging.getLogger(__name__).warning("not tidied")


def main() -> int:
    """Run the job."""
    if VARIANT == "log_line":
        logging.getLogger(__name__).warning("%s starting %s", datetime.now(UTC), uuid.uuid4())
    summary = summarize()
    store(summary)
    tidy()
    print("total", summary["total"], "EUR" if VARIANT == "changed_output" else "")  # noqa: T201 - a program
    print(uuid.uuid4(), secrets.token_hex(8), random.random(), datetime.now(UTC), ObjectId())  # noqa: T201 - a program
    shop.notes.insert_one({"token": secrets.token_hex(4), "at": datetime.now(UTC)})
    return 3 if VARIANT == "exit_status" else 0


if __name__ == "__main__":
    sys.exit(main())
