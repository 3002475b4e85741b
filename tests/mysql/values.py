"""Values of every type of MySQL's, as columns and as what is put into them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, Final

__all__ = ["TYPES"]


def _naive(*parts: int) -> dt.datetime:
    return dt.datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001 - a time of a type that has no zone


TYPES: Final[list[tuple[str, list[Any]]]] = [
    ("TINYINT", [0, -128, 127, True]),
    ("TINYINT(1)", [1, 0]),
    ("SMALLINT", [-(2**15)]),
    ("MEDIUMINT UNSIGNED", [2**24 - 1]),
    ("INT(5) ZEROFILL", [42]),
    ("BIGINT", [-(2**63), 1_700_000_000_000]),
    ("BIGINT UNSIGNED", [2**64 - 1]),
    ("FLOAT", [1.5, 0.1]),
    ("DOUBLE", [0.1, 1e300, -0.0, 1_700_000_000.25]),
    ("DECIMAL(30,10)", [Decimal("3.1400"), Decimal("-12345678901234567890.0123456789")]),
    ("DATE", [dt.date(2024, 2, 29), "0000-00-00", dt.date(9999, 12, 31)]),
    ("TIME", [dt.timedelta(hours=-838, minutes=-59, seconds=-59), dt.timedelta(hours=1), dt.time(1, 2, 3)]),
    ("TIME(6)", [dt.timedelta(microseconds=-1), dt.timedelta(hours=5, microseconds=123_456)]),
    ("DATETIME", [_naive(1000, 1, 1), _naive(2024, 5, 6, 7, 8, 9), "0000-00-00 00:00:00"]),
    ("DATETIME(6)", [_naive(2024, 5, 6, 7, 8, 9, 123_456), _naive(2024, 5, 6)]),
    ("TIMESTAMP NULL", [_naive(2024, 5, 6, 7, 8, 9)]),
    ("YEAR", [2024, 1901]),
    ("CHAR(5)", ["ab"]),
    (
        "VARCHAR(200)",
        ["", "größe 漢字 🍵", 'it\'s \\ "quoted" %s %% ? \n\r\t\x00\x1a', "7d444840-9dc0-11d1-b245-5ffdce74fad2"],
    ),
    ("TEXT CHARACTER SET latin1", ["größe"]),
    ("LONGTEXT", ["a" * 70_000]),
    ("BINARY(4)", [b"\x00\xff"]),
    ("VARBINARY(300)", [b"", bytes(range(256)), b"\x00'\\\"\xff"]),
    ("LONGBLOB", [b"\xff\x00" * 40_000]),
    ("JSON", ['{"a": [1, null, "größe"], "at": "2024-05-06T07:08:09Z"}']),
    ("ENUM('small','größer')", ["größer"]),
    ("SET('a','b','c')", ["a,c", ""]),
    ("BIT(10)", [b"\x02\x01"]),
    ("BIT(1)", [b"\x01"]),
    ("POINT", [None]),
    ("INET6", ["2001:db8::1"]),
    ("UUID", ["7d444840-9dc0-11d1-b245-5ffdce74fad2"]),
]
