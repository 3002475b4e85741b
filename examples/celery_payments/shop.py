"""A shop and its worker in one process: sends orders, and prints what came of each."""

from __future__ import annotations

from celery.contrib.testing.worker import start_worker
from tasks import app, orders, process_payment  # type: ignore[import-not-found] # beside this file

ORDERS = {12345: 250, 12346: 90, 12347: 99_999}
"""Totals; the last one is more than the payment service takes."""


def main() -> None:
    """Pay all orders."""
    for order_id, total in ORDERS.items():
        orders.replace_one({"_id": order_id}, {"total": total}, upsert=True)
    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=30):
        for order_id in ORDERS:
            try:
                print(process_payment.delay(order_id=order_id).get(timeout=30))
            except (LookupError, ValueError) as error:
                print(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
