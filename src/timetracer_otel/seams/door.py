"""Installing a runtime from below: what ``auto_setup`` and the middlewares of timetracer 1.x do first."""

from __future__ import annotations

import importlib
from dataclasses import fields
from typing import Any

from timetracer_otel.config import Settings
from timetracer_otel.errors import ConfigError
from timetracer_otel.seams import runtime

__all__ = ["install", "set_up"]


def set_up(**settings: Any) -> bool:
    """Install the runtime of this process.

    Args:
        settings: fields of :class:`timetracer_otel.config.Settings`.

    Returns:
        Whether there is one now; not so in mode off.

    Raises:
        ConfigError: a setting is wrong, or another mode is in force already.
    """
    importlib.import_module("timetracer_otel.autoload")  # by name, because it stands above: it brings the installer
    if runtime.installer is not None:
        runtime.installer(**settings)
    return runtime.active() is not None


def install(config: object) -> None:
    """Install the runtime for a middleware.

    Args:
        config: a :class:`timetracer_otel.config.Settings`; None for the environment's, when none is in force yet.

    Raises:
        ConfigError: a setting is wrong, another mode is in force already, or ``config`` is something else.
    """
    if config is None:
        if runtime.active() is None:
            set_up()
    elif isinstance(config, Settings):
        set_up(**{field.name: getattr(config, field.name) for field in fields(config)})
    else:
        raise ConfigError(
            f"TimeTracerMiddleware(config=…) takes timetracer_otel.config.Settings, not {type(config).__name__}"
        )
