"""Settings: environment variables over ``[tool.timetracer]`` of pyproject.toml over defaults.

The names are those of timetracer 1.x. Standard ``OTEL_*`` variables keep their meaning.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast, get_args

from timetracer_otel.errors import ConfigError

__all__ = ["NONDETERMINISM", "PREFIX", "Compression", "Mode", "Settings", "is_given", "load"]

Mode: TypeAlias = Literal["off", "record", "replay"]
Compression: TypeAlias = Literal["none", "gzip", "zstd"]

PREFIX = "TIMETRACER_"
NONDETERMINISM = ("clock", "monotonic", "objectid", "random", "secrets", "tempfile", "urandom", "uuid")
"""The groups of what an app draws that can be recorded and given back."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a user can set; each field is ``TIMETRACER_<FIELD>`` and ``<field>`` in pyproject.toml.

    Attributes:
        mode: off, record or replay.
        dir: where cassettes are written and looked for.
        cassette: what to replay: files, directories, globs or ``latest``, separated by ``os.pathsep``.
        compression: none, gzip or zstd, of the cassettes written.
        sample_rate: share of lanes kept, 0 to 1.
        errors_only: keep only lanes with a status of 500 or more, an exception or an error span.
        exclude_paths: path prefixes of requests that are not recorded.
        mock_plugins: when set, only these integrations are answered in replay.
        live_plugins: integrations that stay live in replay.
        span_payloads: put payloads on the spans themselves, for other exporters too.
        files: write cassette files while recording.
        ignore_headers: names of HTTP request headers that do not count when calls are compared.
        ignore_query: names of URL query parameters that do not count.
        ignore_fields: names of JSON members and form fields in HTTP request bodies that do not count.
        nondeterminism: what the app draws that is recorded and given back: ``all``, ``none``, or some of
            :data:`NONDETERMINISM`, separated by commas.
        app_packages: installed packages whose own draws count as the app's.
    """

    mode: Mode = "off"
    dir: Path = Path("cassettes")
    cassette: str = "latest"
    compression: Compression = "none"
    sample_rate: float = 1.0
    errors_only: bool = False
    exclude_paths: tuple[str, ...] = ()
    mock_plugins: tuple[str, ...] = ()
    live_plugins: tuple[str, ...] = ()
    span_payloads: bool = False
    files: bool = True
    ignore_headers: tuple[str, ...] = ()
    ignore_query: tuple[str, ...] = ()
    ignore_fields: tuple[str, ...] = ()
    nondeterminism: str = "all"
    app_packages: tuple[str, ...] = ()

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


def is_given(name: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a setting is set anywhere, so that no door may choose its own default."""
    return PREFIX + name.upper() in environ or name in _from_pyproject(Path.cwd())


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
    "exclude_paths": _names,
    "mock_plugins": _names,
    "live_plugins": _names,
    "span_payloads": _flag,
    "files": _flag,
    "ignore_headers": _lower_names,
    "ignore_query": _lower_names,
    "ignore_fields": _lower_names,
    "nondeterminism": _draws,
    "app_packages": _names,
}
"""How each setting is read from text; the one list of settings beside the dataclass (a test compares the two)."""

assert set(PARSERS) == {field.name for field in fields(Settings)}  # noqa: S101 - a setting without a parser is a bug of ours
