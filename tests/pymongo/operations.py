"""One small use of each operation that apps need, written once for all drivers."""

from __future__ import annotations

from tests.pymongo import operations_collection, operations_database
from tests.pymongo.use import OPERATIONS, Use

__all__ = ["OPERATIONS", "Use", "operations_collection", "operations_database"]
