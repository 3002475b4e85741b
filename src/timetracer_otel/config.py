"""Settings: environment variables over ``[tool.timetracer]`` of pyproject.toml over defaults.

The names are those of timetracer 1.x. Standard ``OTEL_*`` variables keep their meaning.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast, get_args

from timetracer_otel.errors import ConfigError

__all__ = [
    "NONDETERMINISM",
    "PREFIX",
    "Command",
    "Compression",
    "Host",
    "Mode",
    "OnMiss",
    "Pace",
    "Rule",
    "Settings",
    "load",
    "misspelt",
    "size",
    "told",
]

Mode: TypeAlias = Literal["off", "record", "replay"]
Compression: TypeAlias = Literal["none", "gzip", "zstd"]
Pace: TypeAlias = Literal["none", "recorded"]
OnMiss: TypeAlias = Literal["fail", "nearest", "live"]
Command: TypeAlias = Literal["session", "entry"]

PREFIX = "TIMETRACER_"
_OTHERS: Final = frozenset(
    f"{PREFIX}{name}" for name in ("KEY", "BACKEND_HEADERS", "CHILD", "PARENT_SESSION", "RAISE_FAULTS")
)
"""Variables of ours that are no settings."""
_WITHIN: Final = frozenset({f"{PREFIX}REPLAY_JOURNAL", f"{PREFIX}PARENT_SESSION"})
"""Variables that a process of ours hands to those that it starts."""
NONDETERMINISM = ("clock", "monotonic", "objectid", "random", "secrets", "tempfile", "urandom", "uuid")
"""The groups of what an app draws that can be recorded and given back."""


class Rule(NamedTuple):
    """The share of the requests of some routes that is kept.

    Attributes:
        method: in upper case; empty for any.
        pattern: a glob. One with ``<`` or ``{`` in it is compared with the route, any other with the path.
        share: 0 to 1.
    """

    method: str
    pattern: str
    share: float

    def __str__(self) -> str:
        return f"{self.method} {self.pattern}={self.share:g}".lstrip()


class Host(NamedTuple):
    """A peer that another one stands for, each as ``[scheme://]host[:port]`` in lower case.

    Attributes:
        name: as the replayed app calls it.
        recorded: as the recorded app called it.
    """

    name: str
    recorded: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a user can set; each field is ``TIMETRACER_<FIELD>`` and ``<field>`` in pyproject.toml.

    Attributes:
        mode: off, record or replay.
        dir: where cassettes are written and looked for.
        cassette: what to replay: files, directories, globs or ``latest``, separated by ``os.pathsep``; or a URL.
        compression: none, gzip or zstd, of the cassettes written.
        sample_rate: share of lanes kept, 0 to 1.
        errors_only: keep only lanes with a status of 500 or more, an exception or an error span.
        slow_ms: keep only lanes that took at least as long, in milliseconds, or that ``errors_only`` keeps; 0 is off.
        rules: the share kept of some routes, in place of ``sample_rate``; the first that matches counts.
        trigger_header: name of a request header, and the value that it must have; lanes of requests that carry it are
            kept.
        exclude_paths: path prefixes of requests that are not recorded.
        max_memory: bytes that lanes hold while they are open or wait to be written; lanes above it are dropped.
        max_disk: bytes that the cassette directory may take, the oldest go first; 0 is no limit.
        max_age: seconds after which a cassette is removed; 0 is never.
        mock_plugins: when set, only these integrations are answered in replay.
        live_plugins: integrations that stay live in replay.
        pace: ``none`` answers at once in replay, ``recorded`` after the time that it took in the recording.
        on_miss: what happens in a replay at a call that was not recorded: ``fail`` raises, ``nearest`` answers with the
            closest recorded call of that address, ``live`` lets it go out.
        hosts: names of HTTP peers that stand for recorded ones in a replay, such as
            ``prices.internal=127.0.0.1:5105``, separated by commas.
        span_payloads: put payloads on the spans themselves, for other exporters too.
        files: write cassette files while recording.
        ignore_headers: names of HTTP request headers that do not count when calls are compared.
        ignore_query: names of URL query parameters that do not count.
        ignore_fields: names of JSON members and form fields in HTTP request bodies that do not count.
        nondeterminism: what the app draws that is recorded and given back: ``all``, ``none``, or some of
            :data:`NONDETERMINISM`, separated by commas.
        app_packages: installed packages whose own draws count as the app's.
        command: what the run of a script or command is: the ``session`` of its process, or an ``entry`` as well, which
            has a lane.
    """

    mode: Mode = "off"
    dir: Path = Path("cassettes")
    cassette: str = "latest"
    compression: Compression = "none"
    sample_rate: float = 1.0
    errors_only: bool = False
    slow_ms: float = 0.0
    rules: tuple[Rule, ...] = ()
    trigger_header: tuple[str, ...] = ()
    exclude_paths: tuple[str, ...] = ()
    max_memory: int = 256 * 1024**2
    max_disk: int = 0
    max_age: int = 0
    mock_plugins: tuple[str, ...] = ()
    live_plugins: tuple[str, ...] = ()
    pace: Pace = "none"
    on_miss: OnMiss = "fail"
    hosts: tuple[Host, ...] = ()
    span_payloads: bool = False
    files: bool = True
    ignore_headers: tuple[str, ...] = ()
    ignore_query: tuple[str, ...] = ()
    ignore_fields: tuple[str, ...] = ()
    nondeterminism: str = "all"
    app_packages: tuple[str, ...] = ()
    command: Command = "session"

    @property
    def draws(self) -> frozenset[str]:
        """The groups that ``nondeterminism`` names."""
        if self.nondeterminism == "none":
            return frozenset()
        return frozenset(NONDETERMINISM if self.nondeterminism == "all" else self.nondeterminism.split(","))


def load(environ: Mapping[str, str] = os.environ, directory: Path | None = None) -> Settings:
    """Read the settings.

    Args:
        environ: the environment variables.
        directory: where the search for pyproject.toml begins, upwards; the working directory when None.

    Raises:
        ConfigError: a value is not one that its setting takes.
    """
    given: dict[str, Any] = _from_pyproject(directory or Path.cwd())
    exporters = [name.strip() for name in environ.get("OTEL_TRACES_EXPORTER", "").split(",") if name.strip()]
    if "timetracer" in exporters:
        given.setdefault("mode", "record")
    for name, parse in PARSERS.items():
        if (text := environ.get(PREFIX + name.upper())) is not None:
            given[name] = parse(PREFIX + name.upper(), text)
    return _with_exporters(replace(Settings(), **given), exporters, given)


def misspelt(environ: Mapping[str, str] = os.environ) -> Iterator[tuple[str, str]]:
    """Give the variables that are named as ours are, and are none: a setting that has no effect.

    Args:
        environ: the environment variables.

    Yields:
        The name, and the closest one that there is; empty when none is close.
    """
    if _WITHIN & environ.keys():
        return  # the process that started this one has said it
    known = {PREFIX + name.upper() for name in PARSERS} | _OTHERS
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known and not name.startswith(f"{PREFIX}REPLAY_"):
            import difflib  # noqa: PLC0415 - hardly anybody misspells

            close = difflib.get_close_matches(name.removeprefix(PREFIX), [one.removeprefix(PREFIX) for one in known], 1)
            yield name, PREFIX + close[0] if close else ""


def told(name: str, closest: str) -> str:
    """Say what :func:`misspelt` found, on a line.

    Args:
        name: of the variable.
        closest: one that there is.
    """
    return f"{name} is no setting and has no effect" + (f": is {closest} meant?" if closest else "")


def _with_exporters(settings: Settings, exporters: list[str], given: Mapping[str, Any]) -> Settings:
    """A recording that leaves by another exporter only has its payloads on the spans, and writes no files."""
    leaves_otherwise = bool(set(exporters) - {"none", "timetracer"}) and "timetracer" not in exporters
    defaults: dict[str, Any] = {"files": not leaves_otherwise, "span_payloads": leaves_otherwise}
    return replace(settings, **{key: value for key, value in defaults.items() if key not in given})


def _from_pyproject(directory: Path) -> dict[str, Any]:
    file = next((f for d in (directory, *directory.parents) if (f := d / "pyproject.toml").is_file()), None)
    if file is None:
        return {}
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("timetracer", {})
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read ({error}): mend it, or run elsewhere") from error
    if not isinstance(table, dict):
        raise ConfigError(f"{file}: [tool.timetracer] must be a table")
    unknown = sorted(set(table) - set(PARSERS))
    if unknown:
        raise ConfigError(f"{file}: [tool.timetracer] has no setting {unknown[0]!r}; known: {', '.join(PARSERS)}")
    return {name: PARSERS[name](f"{file}: {name}", _as_text(value)) for name, value in table.items()}


def _as_text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _choice(allowed: tuple[str, ...]) -> Callable[[str, str], str]:
    def parse(name: str, text: str) -> str:
        if text.strip().lower() not in allowed:
            raise ConfigError(f"{name}={text!r}: must be one of {', '.join(allowed)}")
        return text.strip().lower()

    return parse


def _flag(name: str, text: str) -> bool:
    flags = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    try:
        return flags[text.strip().lower() or "0"]
    except KeyError:
        raise ConfigError(f"{name}={text!r}: must be true or false") from None


def _share(name: str, text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise ConfigError(f"{name}={text!r}: must be a number from 0 to 1")
    return share


def _milliseconds(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0.0 <= number < float("inf"):
        raise ConfigError(f"{name}={text!r}: must be a number of milliseconds, such as 500, or 0 for off")
    return number


_QUANTITY: Final = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>[a-z]*)")
_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_BYTES: Final = {f"{letter}{end}": 1024**power for letter, power in _POWERS.items() for end in ("", "b", "ib")}
_SECONDS: Final = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LEAST_MEMORY: Final = 1024**2


def _quantity(text: str, units: Mapping[str, int]) -> float | None:
    """Give a number with a unit in the smallest unit; None when it is something else."""
    match = _QUANTITY.fullmatch(text.strip().lower())
    if match is None or match["unit"] not in units:
        return None
    number = float(match["number"]) * units[match["unit"]]
    return number if number < 2**63 else None


def size(name: str, text: str) -> int:
    """Read a size such as ``500MB``.

    Args:
        name: of the option or the variable that has it.
        text: what was given.

    Raises:
        ConfigError: it is none.
    """
    found = _quantity(text, _BYTES)
    if found is None:
        raise ConfigError(f"{name} {text}: must be a size such as 500MB or 10GB")
    return int(found)


def _memory(name: str, text: str) -> int:
    size = _quantity(text, _BYTES)
    if size is None or size < _LEAST_MEMORY:
        raise ConfigError(f"{name}={text!r}: must be a size of at least 1MB, such as 256MB or 1GB")
    return int(size)


def _disk(name: str, text: str) -> int:
    size = _quantity(text, _BYTES)
    if size is None:
        raise ConfigError(f"{name}={text!r}: must be a size such as 500MB or 10GB, or 0 for no limit")
    return int(size)


def _age(name: str, text: str) -> int:
    age = 0.0 if text.strip() == "0" else _quantity(text, _SECONDS)
    if age is None:
        raise ConfigError(f"{name}={text!r}: must be a time such as 30m, 12h or 7d, or 0 for no limit")
    return int(age)


_RULE: Final = re.compile(
    r"\s*(?:(?P<method>[A-Za-z]+)\s+)?(?P<pattern>[/*]\S*?)\s*=\s*(?P<share>[0-9.]+)\s*(?:[;,\n]|$)"
)
"""One rule and what parts it from the next; a comma within the pattern parts nothing."""


def _rules(name: str, text: str) -> tuple[Rule, ...]:
    rules: list[Rule] = []
    at = 0
    while rest := text[at:].strip(" \t\n;,"):
        at = len(text) - len(text[at:].lstrip(" \t\n;,"))
        match = _RULE.match(text, at)
        if match is None:
            raise ConfigError(
                f"{name}: {rest.partition(';')[0]!r} is no rule: write [METHOD] /path=share, parted by semicolons, "
                "such as 'GET /health=0; POST /checkout=1; /api/*=0.1'"
            )
        share = _share(f"{name}: {match[0].strip(' ;,')!r}, share", match["share"])
        rules.append(Rule((match["method"] or "").upper(), match["pattern"], share))
        at = match.end()
    return tuple(rules)


_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, section 5.6.2, token."""


def _header(name: str, text: str) -> tuple[str, ...]:
    header, colon, value = (part.strip() for part in text.partition(":"))
    if text.strip() and (not _HEADER.fullmatch(header) or (colon and not value)):
        # The value may be a secret: it is not repeated.
        raise ConfigError(f"{name} must be the name of a header, or 'name: value', such as 'x-record: let-me-in'")
    return tuple(filter(None, (header.lower(), value)))


_PEER: Final = re.compile(r"(?:https?://)?(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>\d{1,5}))?")
_LAST_PORT: Final = 65535


def _hosts(name: str, text: str) -> tuple[Host, ...]:
    found: dict[str, str] = {}
    for pair in _names(name, text.lower()):
        new, equals, recorded = (part.strip().rstrip("/") for part in pair.partition("="))
        if not equals or not _is_peer(new) or not _is_peer(recorded):
            raise ConfigError(
                f"{name}: {pair!r} is no pair of hosts: write new=recorded, such as prices.internal=127.0.0.1:5105"
            )
        if found.setdefault(new, recorded) != recorded:
            raise ConfigError(f"{name}: {new} cannot stand for both {found[new]} and {recorded}: leave one out")
    return tuple(Host(*pair) for pair in found.items())


def _is_peer(text: str) -> bool:
    match = _PEER.fullmatch(text)
    return match is not None and 0 < int(match["port"] or 80) <= _LAST_PORT


def _names(_name: str, text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _lower_names(name: str, text: str) -> tuple[str, ...]:
    return _names(name, text.lower())


def _draws(name: str, text: str) -> str:
    names = _lower_names(name, text)
    if names in (("all",), ("none",)):
        return names[0]
    unknown = [one for one in names if one not in NONDETERMINISM]
    if unknown or not names:
        raise ConfigError(f"{name}={text!r}: must be all, none, or some of {', '.join(NONDETERMINISM)}")
    return ",".join(sorted(set(names)))


def _text(name: str, text: str) -> str:
    if not text.strip():
        raise ConfigError(f"{name} is empty: give a value or unset it")
    return text


def _path(name: str, text: str) -> Path:
    return Path(_text(name, text)).expanduser()


PARSERS: dict[str, Callable[[str, str], object]] = {
    "mode": cast("Callable[[str, str], object]", _choice(get_args(Mode))),
    "dir": _path,
    "cassette": _text,
    "compression": cast("Callable[[str, str], object]", _choice(get_args(Compression))),
    "sample_rate": _share,
    "errors_only": _flag,
    "slow_ms": _milliseconds,
    "rules": _rules,
    "trigger_header": _header,
    "exclude_paths": _names,
    "max_memory": _memory,
    "max_disk": _disk,
    "max_age": _age,
    "mock_plugins": _names,
    "live_plugins": _names,
    "pace": cast("Callable[[str, str], object]", _choice(get_args(Pace))),
    "on_miss": cast("Callable[[str, str], object]", _choice(get_args(OnMiss))),
    "hosts": _hosts,
    "span_payloads": _flag,
    "files": _flag,
    "ignore_headers": _lower_names,
    "ignore_query": _lower_names,
    "ignore_fields": _lower_names,
    "nondeterminism": _draws,
    "app_packages": _names,
    "command": cast("Callable[[str, str], object]", _choice(get_args(Command))),
}
"""How each setting is read from text; the one list of settings beside the dataclass (a test compares the two)."""

assert set(PARSERS) == {field.name for field in fields(Settings)}  # noqa: S101 - a setting without a parser is a bug of ours
