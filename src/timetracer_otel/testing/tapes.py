"""One cassette while a test runs: recorded into it, or answered from it.

The test is the entry of a lane that encloses the process: what it calls, itself or through an app in the same process,
in whatever thread, task or event loop, belongs to it.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from timetracer_otel import autoload, seams, spans
from timetracer_otel.cassette import bundle, finding, loading
from timetracer_otel.errors import CassetteError, ConfigError
from timetracer_otel.families.kinds.execution import Execution
from timetracer_otel.nondeterminism.recorded import Index
from timetracer_otel.seams import Lane
from timetracer_otel.seams.lanes import process
from timetracer_otel.testing import calls
from timetracer_otel.testing.calls import Call

if TYPE_CHECKING:
    from timetracer_otel.replay.answering.session import Player
    from timetracer_otel.replay.journal import Outcome

__all__ = ["Recording", "Replaying", "Tape"]

_PLUGIN: Final = "pytest"
_WHOLE: Final[Mapping[str, Any]] = {
    "sample_rate": 1.0,
    "errors_only": False,
    "slow_ms": 0,
    "rules": "",
    "trigger_header": "",
    "exclude_paths": "",
    "max_disk": 0,
    "max_age": 0,
    "compression": "none",
    "files": True,
    "span_payloads": False,
}
"""A test's recording is kept whole, whatever the settings say of a service's."""
_MOST_TOLD: Final = 10
_DRAIN_SECONDS: Final = 30.0


class Tape(ABC):
    """A cassette in use.

    Args:
        cassette: its file.
        title: what runs, such as a test's id.
        settings: fields of :class:`timetracer_otel.config.Settings`.
    """

    mode: str
    _test: Execution

    def __init__(self, cassette: Path, title: str, settings: Mapping[str, Any] | None = None) -> None:
        self.cassette = cassette
        self.title = title
        self.settings = dict(settings or {})
        self._lane: Lane | None = None
        self._is_installed = False
        self._calls: list[Call] | None = None

    @property
    def is_recording(self) -> bool:
        """Whether calls go out, and are recorded."""
        return self.mode == "record"

    @abstractmethod
    def begin(self) -> None:
        """Take part in all that the process does.

        Raises:
            ConfigError: a setting is wrong, or a recording or a replay is in force already.
            CassetteError: the cassette cannot be used.
        """

    def end(self, error: BaseException | None = None) -> None:
        """Let the process be as it was.

        Args:
            error: what the test raised.
        """
        lane = self._lane
        try:
            if lane is not None:
                self._calls = self._calls_so_far()
                self._test.end(error)
                lane.end_code()
                lane.finish(error)
        finally:
            self._lane = None
            if self._is_installed:
                process.enclosing, self._is_installed = None, False
                self._uninstall()

    def _uninstall(self) -> None:
        autoload.uninstall_for_test()

    def _install(self, **settings: Any) -> None:
        autoload.install_for_test(**settings)
        self._is_installed = True

    def _enclose(self, entry: Execution) -> Lane:
        runtime = seams.active()
        lane = None if runtime is None else runtime.open_lane(entry)
        if lane is None:
            raise ConfigError(f"{self.title} is not recorded: see the log for the reason")
        process.enclosing, self._lane, self._test = lane, lane, entry
        return lane

    def calls(self, **wanted: str) -> list[Call]:
        """Give the calls until now, in order, decoded for people.

        Args:
            wanted: such as ``system="mongodb"``, ``collection="orders"``, ``operation="find"``, ``url=…``.
        """
        found = self._calls if self._calls is not None else self._calls_so_far()
        return calls.chosen(found, wanted)

    @abstractmethod
    def _calls_so_far(self) -> list[Call]: ...


class Recording(Tape):
    """A cassette that is recorded. It is written by :meth:`keep`, whole, or not at all."""

    mode = "record"
    _folder: Path | None = None

    def begin(self) -> None:
        """Record what the process does."""
        self._folder = Path(tempfile.mkdtemp(prefix="timetracer-"))
        try:
            self._install(**{**_WHOLE, **self.settings, "mode": "record", "dir": self._folder})
            self._enclose(Execution(self.title, None, _PLUGIN, trigger=_PLUGIN))
        except BaseException:
            self.end()
            self.discard()
            raise

    def _calls_so_far(self) -> list[Call]:
        recorder: Any = seams.active()
        lane: Any = self._lane
        if recorder is None or lane is None or self._folder is None:
            return []
        recorder.sink.drain(_DRAIN_SECONDS)
        file = self._folder / "until-now.jsonl"
        file.write_bytes(lane.until_now())
        try:
            asked = [call for one in loading.load_alone([file]).lanes for call in one.calls]
        except CassetteError:
            return []  # nothing has ended yet
        finally:
            file.unlink()
        return calls.seen((span, None) for span in asked)

    def says_something(self) -> bool:
        """Whether anything was asked or drawn, once it has ended."""
        files = [] if self._folder is None else sorted(finding.below(self._folder))
        recorded = [span for lane in loading.load_alone(files).lanes for span in lane.spans]
        payloads = [payload for span in recorded if (payload := span.payload(spans.DRAWS)) is not None]
        drawn = Index.of([payloads])
        return any(span.is_call for span in recorded) or bool(drawn and drawn.by_site)

    def keep(self) -> None:
        """Write the cassette. What a test recorded that has failed is better discarded.

        Raises:
            CassetteError: it cannot be written, or was not recorded whole.
        """
        if self._folder is None:
            return
        try:
            files = sorted(finding.below(self._folder))
            if not any(path.name.startswith("EXECUTION__") for path in files):
                raise CassetteError("could not be recorded whole: see the log for the reason", file=self.cassette)
            bundle.bundle(files, self.cassette)
        finally:
            self.discard()

    def discard(self) -> None:
        """Forget what was recorded."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


class Replaying(Tape):
    """A cassette that answers."""

    mode = "replay"
    instead: Path | None = None
    """A cassette that is used in its place, because there is none."""

    def begin(self) -> None:
        """Answer what the process asks."""
        mine = threading.get_ident()
        self._others = {thread.ident for thread in threading.enumerate()} - {mine}
        self._outcome: Outcome | None = None
        self._player: Player | None = None
        self._notes: list[dict[str, Any]] = []
        file = self.instead or self.cassette
        if not file.exists():
            raise CassetteError("there is no such cassette: record it", file=self.cassette)
        try:
            self._install(**{**self.settings, "mode": "replay", "cassette": str(file)})
            player: Any = seams.active()
            player.journal.heard = []
            self._player, self._notes = player, player.journal.kept
            self._enclose(Execution(self.title, None, _PLUGIN, trigger=_PLUGIN, follows=self._recorded(player)))
        except BaseException:
            self.end()
            raise

    def _recorded(self, player: Player) -> str:
        """The id of the recorded lane: that of a test, else the first of any other kind."""
        lanes = player.cassette.catalog.lanes
        tests = [lane for lane in lanes if lane.kind == Execution(self.title, None, _PLUGIN).kind]
        named = [lane for lane in tests if lane.target == self.title]
        for lane in (*named, *tests, *lanes):
            return lane.id
        raise CassetteError("holds no recorded test: record it again", file=self.cassette)

    def _calls_so_far(self) -> list[Call]:
        return calls.seen([] if self._player is None else list(self._player.journal.heard or ()))

    def _uninstall(self) -> None:
        if self._player is not None:
            self._outcome = self._player.outcome()
        super()._uninstall()
        self._player = None

    @property
    def outcome(self) -> Outcome:
        """What was answered, missed, refused and left unused until now; also after the end."""
        if self._outcome is not None:
            return self._outcome
        if self._player is None:
            raise RuntimeError("no replay is in force")
        return self._player.outcome()

    def problems(self) -> list[str]:
        """Give what the test asked and was not answered, also where the app swallowed the error.

        Connections that are refused to threads of before the test are not among it: they may work for anybody.
        """
        notes = [note for note in self._notes if note["what"] == "refused" and note["thread"] not in self._others]
        refused = dict.fromkeys(str(note["address"]) for note in notes)
        return [
            *(str(miss["message"]) for miss in self.outcome.misses),
            *(f"a connection to {address} was refused: nothing recorded stands in for it" for address in refused),
        ]

    def unused(self) -> list[str]:
        """Give the recorded calls that the test did not ask for, once it has ended."""
        return [" ".join(filter(None, call["key"])) for call in self.outcome.unused]

    def problem(self, *, strict: bool = False) -> str:
        """Say what was asked beside the cassette; empty when nothing was.

        Args:
            strict: whether recorded calls that were not asked for count as well, which is known at the end.
        """
        missed, unused = self.problems(), self.unused() if strict else []
        told = [_told(missed, f"not answered by {self.cassette}"), _told(unused, f"of {self.cassette} not asked for")]
        return "\n".join(filter(None, told))


def _told(found: Sequence[str], what: str) -> str:
    if not found:
        return ""
    lines = [f"  - {one}" for one in found[:_MOST_TOLD]]
    more = [f"  … and {len(found) - _MOST_TOLD} more"] if len(found) > _MOST_TOLD else []
    return "\n".join([f"{len(found)} call{'s' if len(found) > 1 else ''} {what}:", *lines, *more])
