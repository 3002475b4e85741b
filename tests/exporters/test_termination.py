"""SIGTERM: which processes keep its default action, because a handler in Python may come too late in them."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from timetracer_otel.exporters.host import termination

_getsignal = signal.getsignal  # before it is replaced


def has_default_action() -> bool:
    """Whether the kernel ends this process by itself."""
    return bool(_getsignal(signal.SIGTERM) == signal.SIG_DFL)


def test_a_forked_process_keeps_it() -> None:
    """A pool kills its workers while they wait for work below Python, where no handler runs."""
    end = termination.before_end(lambda: None)
    try:
        assert not has_default_action()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL  # the app sees nothing of it
        if (child := os.fork()) == 0:
            os._exit(0 if has_default_action() else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert not has_default_action()
    finally:
        end()
    assert has_default_action()


def test_a_worker_that_was_spawned_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Likewise, though it begins as a program of its own."""
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-c", "from multiprocessing.spawn import spawn_main; …"])
    termination.before_end(lambda: None)()
    termination.before_end(lambda: None)
    assert has_default_action()
