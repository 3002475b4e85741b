"""The names that users of timetracer 1.x call to switch a library's capture on and off.

With us everything is on as soon as recording is; these only install it, and switch a library off again.
"""

from __future__ import annotations

from timetracer_otel import autoload

__all__ = ["disable_motor", "disable_pymongo", "enable_motor", "enable_pymongo"]


def enable_pymongo() -> None:
    """Record or replay MongoDB, as the settings say.

    Raises:
        ConfigError: a setting is wrong.
    """
    autoload.enable("pymongo")


def disable_pymongo() -> None:
    """Leave MongoDB alone again: every patched object of the driver is what it was."""
    autoload.disable("pymongo")


enable_motor = enable_pymongo
"""Motor runs on PyMongo, and is captured there."""
disable_motor = disable_pymongo
