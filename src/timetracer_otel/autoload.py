"""The doors into a process: the entry point that ``opentelemetry-instrument`` loads, and ``install()``."""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401 - before any TracerProvider: imported after one, its fork hook deadlocks the SDK's
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from timetracer_otel import config, instrumenting, nondeterminism, sealing, seams
from timetracer_otel.cassette import zstd
from timetracer_otel.config import Settings
from timetracer_otel.errors import ConfigError, IntegrationError, TimetracerError
from timetracer_otel.integrations import discover
from timetracer_otel.seams import Integration, carrying, children, faults, imports, patching
from timetracer_otel.seams import runtime as runtime_module

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

__all__ = ["disable", "enable", "install", "install_for_test", "pre_instrument", "uninstall", "uninstall_for_test"]

_log = logging.getLogger("timetracer_otel")

_installed: Settings | None = None
_from_outside = False
"""Whether the process was started to be recorded or replayed, and did not ask for it itself."""
_for_test = False
"""Whether a test is recorded or replayed."""
_undoing = ExitStack()
"""What ``uninstall()`` has to put back beside the patches."""


def pre_instrument() -> None:
    """Set the process up as its settings say; never raises. A replay that cannot be set up ends the process, status 2.

    ``opentelemetry-instrument`` calls it before the instrumentors.
    """
    global _from_outside  # noqa: PLW0603 - a process has one installation
    wants_replay = os.environ.get("TIMETRACER_MODE", "").strip().lower() == "replay"
    try:
        _tell_misspelt()
        settings = config.load()
        wants_replay = settings.mode == "replay"
        if settings.mode != "off":
            with instrumenting.left_to_no_collection():
                _set_up(settings)
            _from_outside = True
            instrumenting.put_off()
        if settings.mode == "replay":
            instrumenting.leave_out_costly()
            _debug()
    except TimetracerError as error:
        if wants_replay:
            _refuse_to_run(error)
        faults.tell_off(error)
    except Exception as error:  # noqa: BLE001 - it would abort the instrumentation of everything else
        if wants_replay:
            _log.exception("the replay could not be set up")
            _refuse_to_run(error)
        _log.exception("timetracer is off: it could not be set up")


def _tell_misspelt() -> None:
    for name, closest in config.misspelt():
        _log.warning("timetracer: %s", config.told(name, closest))


def _refuse_to_run(error: Exception) -> NoReturn:
    """End the process: a program that was to be replayed must never run against what is live.

    Not by ``sys.exit``: the site module that we are imported by would go on with the program.
    """
    sys.stderr.write(f"timetracer: the program was not started, because its replay cannot be set up: {error}\n")
    sys.stderr.flush()
    os._exit(2)


def install(**settings: Any) -> Settings:
    """Turn recording or replay on in this process, from code.

    Call it before the libraries are used; calling it again with the same mode or none does nothing. A program that was
    started by ``timetracer-replay`` stays replayed, whatever mode it asks for.

    Args:
        settings: fields of :class:`timetracer_otel.config.Settings`; they win over environment variables. Without a
            ``mode`` here, in ``TIMETRACER_MODE`` or in pyproject.toml, the mode is off.

    Returns:
        The settings in force.

    Raises:
        ConfigError: a setting is wrong, or another mode is in force already.
    """
    wanted = _wanted(settings)
    if _installed is not None:
        stays = "mode" not in settings or (_from_outside and (_installed.mode == "replay" or _for_test))
        if _installed.mode != wanted.mode and not stays:
            raise ConfigError(f"timetracer is in mode {_installed.mode} already; it cannot change to {wanted.mode}")
        return _installed
    _tell_misspelt()
    if wanted.mode == "off":
        return wanted
    try:
        _set_up(wanted, from_code=True)
    except TimetracerError:
        raise
    except Exception:  # whatever it was: the app runs on, unrecorded
        if wanted.mode == "replay":  # which must never run against what is live
            raise
        _log.exception("timetracer is off: it could not be set up")
        return replace(wanted, mode="off")
    return wanted


def install_for_test(**settings: Any) -> Settings:
    """Turn recording or replay on in this process for one test, until :func:`uninstall`.

    The standard instrumentors stay as they are, and a process without a tracer provider goes on without one: neither
    could be taken back. What the test's own code installs meanwhile is this.

    Args:
        settings: fields of :class:`timetracer_otel.config.Settings`; they win over environment variables.

    Returns:
        The settings in force.

    Raises:
        ConfigError: a setting is wrong, or a recording or a replay is in force already.
        CassetteError: the cassette to replay cannot be read.
    """
    global _from_outside, _for_test  # noqa: PLW0603 - a process has one installation
    if _installed is not None:
        raise ConfigError(f"timetracer is in mode {_installed.mode} already in this process: a test needs it to be off")
    wanted = _wanted(settings)
    _set_up(wanted, for_test=True)
    _from_outside = _for_test = True
    return wanted


def _wanted(given: dict[str, Any]) -> Settings:
    unknown = sorted(set(given) - set(config.PARSERS))
    if unknown:
        raise ConfigError(f"install() has no setting {unknown[0]!r}; known: {', '.join(config.PARSERS)}")
    loaded = config.load()
    texts = {key: ",".join(value) if isinstance(value, list | tuple) else str(value) for key, value in given.items()}
    parsed: dict[str, Any] = {key: config.PARSERS[key](f"install({key}=…)", text) for key, text in texts.items()}
    return replace(loaded, **parsed)


def enable(name: str) -> None:
    """Install as the settings say, and let one integration take part again if it was switched off.

    Args:
        name: of the integration, or an alias of it.

    Raises:
        ConfigError: a setting is wrong.
        IntegrationError: there is no such integration.
    """
    integration = _integration(name)
    if install().mode != "off":
        runtime_module.switched_off.discard(integration.name)
        patching.apply(integration)
        if not _from_outside:
            patching.apply(replace(integration, patches=integration.apps))


def disable(name: str) -> None:
    """Leave a library alone: its calls are neither recorded nor answered, and what is patched for it is put back.

    What another integration needs too stays patched, and lets the calls of this one pass.

    Args:
        name: of the integration, or an alias of it.

    Raises:
        IntegrationError: there is no such integration.
    """
    integration = _integration(name)
    runtime_module.switched_off.add(integration.name)
    patching.undo(integration.name)


def _integration(name: str) -> Integration:
    known = discover()
    for one in known.values():
        if name in one.names:
            return one
    raise IntegrationError(f"there is no integration {name!r}; known: {', '.join(sorted(known))}")


def uninstall() -> None:
    """Put every patched object back and stop recording or replaying; what a test has installed stays until its end."""
    if not _for_test:
        uninstall_for_test()


def uninstall_for_test() -> None:
    """End what :func:`install_for_test` began."""
    steps: tuple[Callable[[], object], ...] = (
        partial(seams.set_active, None),  # first, so that what is patched no more is refused no more
        carrying.uninstall,
        patching.undo_all,
        imports.stop,
        _undoing.close,
        nondeterminism.uninstall,
        seams.integrations.clear,
        runtime_module.switched_off.clear,
        _forget,
    )
    with ExitStack() as stack:  # each step is taken, whatever one before it raised
        for step in reversed(steps):
            stack.callback(_undo, step)


def _undo(step: Callable[[], object]) -> None:
    try:
        step()
    except Exception as error:  # noqa: BLE001 - the rest is undone all the same
        faults.report("uninstall", error)


def _forget() -> None:
    global _installed, _from_outside, _for_test
    _installed, _from_outside, _for_test = None, False, False


def _set_up(settings: Settings, *, from_code: bool = False, for_test: bool = False) -> None:
    """Set the process up whole or not at all.

    Args:
        settings: in force from now on.
        from_code: whether nobody else turns the standard instrumentors on.
        for_test: whether the process gets no tracer provider where it has none.
    """
    from timetracer_otel.seams import tracing  # noqa: PLC0415 - a process in mode off does not pay for the SDK

    global _installed  # noqa: PLW0603 - a process has one installation
    if _installed is not None:
        return
    known = discover()
    _check_plugins(settings, {name for one in known.values() for name in one.names})
    try:
        _begin(settings, known, tracing.provider_of_test() if for_test else tracing.host_provider())
        _installed = settings
        if from_code:
            _instrument(settings)
    except BaseException:
        _installed = None  # so that nothing is written
        uninstall()
        raise


def _begin(settings: Settings, known: dict[str, Integration], provider: TracerProvider) -> None:
    seams.integrations.update(known)
    seams.set_settings(settings)
    refuse_outbound = None
    if settings.mode == "record":
        _record(settings, provider)
    else:
        refuse_outbound = _replay(settings, provider)
    imports.start()
    with patching.together():
        for integration in known.values():
            patching.apply(integration)
    carrying.install()
    draw = nondeterminism.note if settings.mode == "record" else nondeterminism.give
    nondeterminism.install(settings.draws, draw, settings.app_packages, known.values())
    if refuse_outbound is not None:
        refuse_outbound()


def _check_plugins(settings: Settings, known: set[str]) -> None:
    for name in (*settings.live_plugins, *settings.mock_plugins):
        if name not in known:
            raise IntegrationError(f"there is no integration {name!r}; known: {', '.join(sorted(known))}")


def _replay(settings: Settings, provider: TracerProvider) -> Callable[[], None]:
    """Answer from now on; give what refuses all that would leave, for when the libraries are patched."""
    from timetracer_otel.replay.answering.start import guard, start  # noqa: PLC0415 - only a replay pays for it
    from timetracer_otel.seams import tracing  # noqa: PLC0415 - a process in mode off does not pay for the SDK

    player = start(settings)
    _undoing.callback(atexit.unregister, player.print_outcome)
    _undoing.callback(children.prepare(player.script.child_started))
    unheard = partial(tracing.Unheard, provider=provider)
    _undoing.callback(tracing.attach(provider, tracing.LaneMarker(player), unheard))
    return partial(guard, player)


def _make_key() -> None:
    """See to the key that seals secrets; a wrong one is said, because nobody can use what is masked for its sake."""
    sealing.make_key()
    try:
        sealing.check()
    except TimetracerError as error:
        _log.warning("timetracer: %s. Until then secrets are masked, not sealed", error)


def _record(settings: Settings, provider: TracerProvider) -> None:
    from timetracer_otel.exporters import set_aside  # noqa: PLC0415 - a process in mode off does not pay for it
    from timetracer_otel.exporters.host import batches, termination  # noqa: PLC0415 - see above
    from timetracer_otel.exporters.lanes import (  # noqa: PLC0415 - see above
        process_end,
        processor,
        unreached_children,
    )
    from timetracer_otel.exporters.lanes.recorder import Recorder  # noqa: PLC0415 - see above
    from timetracer_otel.seams import tracing  # noqa: PLC0415 - see above

    zstd.check(settings.compression)
    _make_key()
    recorder = Recorder(settings, provider)
    exit_status = process_end.watch()
    _undoing.callback(exit_status)

    def at_exit() -> None:
        if _installed is None:
            return  # the set-up failed halfway
        recorder.session().exit_status = exit_status()
        if recorder.leaving is not None:
            recorder.session().flush_draws()
        recorder.end()
        if recorder.leaving is not None:
            recorder.leaving.drain(batches.EXIT_SECONDS)

    atexit.register(at_exit)
    runtime_module.stopper = recorder.stop
    _undoing.callback(setattr, runtime_module, "stopper", None)
    _undoing.callback(atexit.unregister, at_exit)
    if settings.files:
        _undoing.callback(set_aside(provider))
    _undoing.callback(
        tracing.attach(provider, processor.LaneProcessor(recorder), tracing.RecordAll if settings.files else None)
    )
    if settings.span_payloads:
        recorder.leaving, undo = batches.attach(provider, settings.max_memory)
        _undoing.callback(undo)

    def write_last() -> None:
        recorder.session().killed(signal.SIGTERM)
        recorder.settle()
        if recorder.leaving is not None:
            recorder.session().flush_draws()
            recorder.leaving.send_all(termination.SECONDS)

    _undoing.callback(termination.before_end(write_last))
    _undoing.callback(children.prepare(unreached_children.tell))
    recorder.watch_streams()
    if settings.command == "entry" and children.parent() is None:
        from timetracer_otel.families.entry.command import command_of_process  # noqa: PLC0415 - few ask for it

        recorder.session().command = command_of_process()
    _undoing.callback(recorder.unwatch)
    _undoing.callback(recorder.sink.end)
    _undoing.callback(at_exit)  # the first that is done: what it ends is seen by the processor
    seams.set_active(recorder)


def _instrument(mine: Settings) -> None:
    """Turn the standard instrumentors on, and give each app that is made its own."""
    instrumenting.instrument_on_import(_undoing.callback, lambda: _installed is mine)
    for integration in seams.integrations.values():
        patching.apply(replace(integration, patches=integration.apps))


def _debug() -> None:
    """Set the debugger up that the launcher was asked for, in this process."""
    from timetracer_otel.debugging.settings import Settings as Debugger  # noqa: PLC0415 - only a replay has one

    if (debugger := Debugger.of(os.environ)) is not None:
        from timetracer_otel.debugging.starting import start  # noqa: PLC0415 - imports pdb

        start(debugger)


runtime_module.installer = install
