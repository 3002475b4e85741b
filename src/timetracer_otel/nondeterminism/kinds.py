"""What can be drawn: how each value is written down, read back, and carried on where the recording has no more."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

import pybase64

from timetracer_otel.config import NONDETERMINISM
from timetracer_otel.nondeterminism.columns import Json
from timetracer_otel.seams.integration import Generator

__all__ = ["KINDS", "Kind", "NotFit", "as_it_is", "generated"]

Args: TypeAlias = tuple[Any, ...]
Sample: TypeAlias = Callable[..., Any]

_WALL, _OWN_CLOCK = "wall", "own"
_JSON_INT: Final = 1 << 63


class NotFit(Exception):  # noqa: N818 - never seen by a user: says that a live value is needed
    """A recorded value does not fit the live call: another list, another type."""


def _same(value: Any, _args: Args, _kwargs: Mapping[str, Any]) -> Any:
    return value


def _always(_args: Args, _kwargs: Mapping[str, Any]) -> bool:
    return True


def as_it_is(value: Any) -> Json:
    """Give the value itself; who finds this function need not call it for each of a column."""
    return value


@dataclass(frozen=True, eq=False)
class Kind:
    """One function that draws.

    Args:
        name: of the function, as a cassette says it.
        group: the setting that switches it.
        dump: the drawn value as JSON; :func:`as_it_is` where it is such already.
        load: what the app is given for it; raises :class:`NotFit`.
        draws: whether a call draws at all: ``localtime(seconds)`` only converts.
        clock: ``wall`` for the time of day, ``own`` for a clock with a zero of its own, else empty.
        ahead: a live call's value, some seconds later or earlier; of clocks.
    """

    name: str
    group: str
    dump: Callable[[Any], Json] = as_it_is
    load: Callable[[Any, Args, Mapping[str, Any]], Any] = _same
    draws: Callable[[Args, Mapping[str, Any]], bool] = _always
    clock: str = ""
    ahead: Callable[[Sample, Args, Mapping[str, Any], float], Any] | None = None


# Numbers and bytes


def _dump_number(value: Any) -> Json:
    if isinstance(value, int) and not -_JSON_INT <= value < _JSON_INT:
        return hex(value)
    return value if isinstance(value, int | float) else {"unknown": repr(value)[:100]}


def _load_number(value: Json, _args: Args, _kwargs: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return int(value, 16)
    if not isinstance(value, int | float):
        raise NotFit
    return value


def _load_bytes(value: Json, args: Args, kwargs: Mapping[str, Any]) -> bytes:
    data = pybase64.b64decode(value)
    wanted = next((one for one in (*args, *kwargs.values()) if isinstance(one, int)), None)
    if wanted is not None and wanted != len(data):
        raise NotFit
    return data


def _number(name: str, group: str) -> Kind:
    return Kind(name, group, _dump_number, _load_number)


def _bytes(name: str, group: str) -> Kind:
    return Kind(name, group, pybase64.b64encode_as_string, _load_bytes)


# Clocks


def _later_seconds(sample: Sample, args: Args, kwargs: Mapping[str, Any], seconds: float) -> float:
    return float(sample(*args, **kwargs) + seconds)


def _later_nanoseconds(sample: Sample, args: Args, kwargs: Mapping[str, Any], seconds: float) -> int:
    return int(sample(*args, **kwargs)) + int(seconds * 1e9)


def _later_moment(sample: Sample, args: Args, kwargs: Mapping[str, Any], seconds: float) -> Any:
    return sample(*args, **kwargs) + timedelta(seconds=seconds)


def _later_day(_sample: Sample, args: Args, _kwargs: Mapping[str, Any], seconds: float) -> Any:
    return args[0].fromtimestamp(time.time() + seconds)


def _later_converted(sample: Sample, _args: Args, _kwargs: Mapping[str, Any], seconds: float) -> Any:
    return sample(time.time() + seconds)


def _later_formatted(sample: Sample, args: Args, _kwargs: Mapping[str, Any], seconds: float) -> Any:
    tail = (time.localtime(time.time() + seconds),)
    return sample(*args[:1], *tail)


def _dump_moment(value: Any) -> Json:
    day = [value.year, value.month, value.day]
    if not isinstance(value, datetime):
        return day
    return [*day, value.hour, value.minute, value.second, value.microsecond, value.fold]


def _load_moment(value: Json, args: Args, kwargs: Mapping[str, Any]) -> Any:
    """The recorded wall time, of the class and in the zone that the live call names."""
    cls = args[0]
    zone = args[1] if len(args) > 1 else kwargs.get("tz")
    try:
        if not issubclass(cls, datetime):
            return cls(*value[:3])
        return cls(*value[:7], zone, fold=value[7])
    except (TypeError, ValueError, IndexError) as error:
        raise NotFit from error


def _load_struct(value: Json, _args: Args, _kwargs: Mapping[str, Any]) -> time.struct_time:
    return time.struct_time(value[:9], {"tm_zone": value[9], "tm_gmtoff": value[10]})


def _dump_struct(value: time.struct_time) -> Json:
    return [*value, value.tm_zone, value.tm_gmtoff]


def _without_moment(args: Args, _kwargs: Mapping[str, Any]) -> bool:
    return not args or args[0] is None


def _only_format(args: Args, _kwargs: Mapping[str, Any]) -> bool:
    return len(args) == 1


def _clock(name: str, *, own: bool = False) -> Kind:
    later = _later_nanoseconds if name.endswith("_ns") else _later_seconds
    group, clock = ("monotonic", _OWN_CLOCK) if own else ("clock", _WALL)
    return Kind(name, group, _dump_number, _load_number, clock=clock, ahead=later)


def _moment(name: str) -> Kind:
    later = _later_day if name == "date.today" else _later_moment
    return Kind(name, "clock", _dump_moment, _load_moment, clock=_WALL, ahead=later)


def _struct(name: str) -> Kind:
    return Kind(name, "clock", _dump_struct, _load_struct, _without_moment, _WALL, _later_converted)


# Choices, as places in what was chosen from: its items may be anything


def _load_places(value: Json, args: Args, _kwargs: Mapping[str, Any]) -> Any:
    among = args[1]
    if type(value) is int and 0 <= value < len(among):
        return value
    places = value if isinstance(value, list) else [value]
    if not all(isinstance(place, int) and 0 <= place < len(among) for place in places):
        raise NotFit
    return value


def _load_order(value: Json, args: Args, _kwargs: Mapping[str, Any]) -> Any:
    if not isinstance(value, list) or len(value) != len(args[1]):
        raise NotFit
    return value


# Ids


def _load_uuid(value: Json, _args: Args, _kwargs: Mapping[str, Any]) -> uuid.UUID:
    return uuid.UUID(hex=value)


def _load_hex(value: Json, _args: Args, _kwargs: Mapping[str, Any]) -> bytes:
    return bytes.fromhex(value)


# What libraries make where Python does not see it


def generated(one: Generator) -> Kind:
    """Give the kind of a generator's draws: bytes, a text, a number, None or an id of the library's own class.

    Args:
        one: declared.
    """

    def load(value: Json, _args: Args, _kwargs: Mapping[str, Any]) -> Any:
        ((form, text),) = value.items()
        if form == "id":
            return getattr(sys.modules[one.module], "UUID", uuid.UUID)(hex=text)
        if form == "bytes":
            return pybase64.b64decode(text)
        return int(text, 16) if form == "number" else text

    return Kind(f"{one.module}.{one.name}", one.group, _dump_generated, load)


def _dump_generated(value: Any) -> Json:
    if isinstance(value, bytes):
        return {"bytes": pybase64.b64encode_as_string(value)}
    if isinstance(value, int):
        return {"number": hex(value)}
    return {"text": value} if value is None or isinstance(value, str) else {"id": value.hex}


_RANDOM_NUMBERS: Final = (
    "random", "uniform", "triangular", "randint", "randrange", "normalvariate", "lognormvariate", "expovariate",
    "vonmisesvariate", "gammavariate", "gauss", "betavariate", "binomialvariate", "paretovariate", "weibullvariate",
    "getrandbits",
)  # fmt: skip

_ALL: Final = (
    *(_clock(f"time.{name}") for name in ("time", "time_ns")),
    *(_moment(name) for name in ("datetime.now", "datetime.utcnow", "date.today")),
    *(_struct(f"time.{name}") for name in ("localtime", "gmtime")),
    Kind("time.ctime", "clock", draws=_without_moment, clock=_WALL, ahead=_later_converted),
    Kind("time.asctime", "clock", draws=lambda args, _: not args, clock=_WALL),
    Kind("time.strftime", "clock", draws=_only_format, clock=_WALL, ahead=_later_formatted),
    *(
        _clock(f"time.{name}{unit}", own=True)
        for name in ("monotonic", "perf_counter", "process_time", "thread_time")
        for unit in ("", "_ns")
    ),
    *(Kind(f"uuid.uuid{n}", "uuid", lambda value: value.hex, _load_uuid) for n in (1, 4, 6, 7, 8)),
    *(_number(f"random.{name}", "random") for name in _RANDOM_NUMBERS),
    _bytes("random.randbytes", "random"),
    *(Kind(f"random.{name}", "random", load=_load_places) for name in ("choice", "choices", "sample")),
    Kind("random.shuffle", "random", load=_load_order),
    _number("secrets.randbelow", "secrets"),
    _bytes("secrets.token_bytes", "secrets"),
    *(Kind(f"secrets.{name}", "secrets") for name in ("token_hex", "token_urlsafe")),
    *(_bytes(name, "urandom") for name in ("os.urandom", "os.getrandom", "ssl.RAND_bytes")),
    Kind("bson.ObjectId", "objectid", bytes.hex, _load_hex),
    Kind("tempfile.name", "tempfile"),
)

KINDS: Final[dict[str, Kind]] = {kind.name: kind for kind in _ALL}

assert {kind.group for kind in _ALL} == set(NONDETERMINISM)  # noqa: S101 - a group without a kind is a bug of ours
