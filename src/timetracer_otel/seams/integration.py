"""How a library is declared: where it is patched, how its calls are described and decoded. Data, few conversions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self, TypeAlias

from timetracer_otel import spans
from timetracer_otel.seams.descriptions import Description, Value
from timetracer_otel.seams.instrumentors import Instrumentor

if TYPE_CHECKING:
    from timetracer_otel.cassette.model import Lane, Span
    from timetracer_otel.cassette.version1 import Library
    from timetracer_otel.seams.entries import Entry
    from timetracer_otel.seams.lanes import Lane as OpenLane

__all__ = [
    "Answer",
    "Description",
    "Generator",
    "GoesOut",
    "InStream",
    "Integration",
    "Maker",
    "Patch",
    "Recording",
    "Replacement",
    "Responder",
    "Stream",
    "Value",
    "Wrapper",
]

Wrapper: TypeAlias = Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Any]
"""``wrapper(wrapped, instance, args, kwargs)``, as wrapt calls it."""

Maker: TypeAlias = Callable[[Any], Callable[..., Any]]
"""Makes the function that stands in the place of another one: half of wrapt's cost, for what every call passes."""

Replacement: TypeAlias = Callable[[Any], Any]
"""Gives what stands in the place of an object that a factory has made: often a proxy of it."""

Recording: TypeAlias = Callable[[], Mapping[str, spans.Attribute]]
"""Gives the attributes of a live request, as a recording has them."""


class GoesOut(Exception):  # noqa: N818 - no error: it says what is to be done
    """Nothing recorded answers a call, and the user wants such calls to go out (``--on-miss live``)."""


@dataclass(frozen=True, slots=True)
class Patch:
    """One name to wrap, as soon as its module is imported.

    Args:
        module: dotted module name.
        name: attribute path in it, such as ``sendall`` or ``Flask.__call__``.
        wrapper: what goes around it; None where there is one of the two below.
        maker: instead of a wrapper, for functions of Python only; or for a class: gives a subclass of it.
        returns: instead of a wrapper, where the name is a factory: gives what stands in the place of each object that
            it returns. For types of C, whose methods cannot be replaced; where it raises, the app gets the object.
        required: whether a supported version always has that name; if it then is missing, or cannot be set, a warning
            says so.
        everywhere: whether modules that have imported the object already get what stands in its place, too.
        underneath: whether it is of a class of C, which takes no attributes: then the class's dictionary is changed.
    """

    module: str
    name: str
    wrapper: Wrapper | None = None
    required: bool = True
    maker: Maker | None = None
    returns: Replacement | None = None
    everywhere: bool = False
    underneath: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A recorded call that answers a live one.

    Args:
        recorded: the recorded span, whose payloads the integration decodes.
        bindings: recorded value to the live one that differs, to put into the payload.
    """

    recorded: Span
    bindings: Mapping[Value, Value]

    @property
    def replies(self) -> list[bytes]:
        """What was said to it, one by one, where a recording has :meth:`Call.put_replies`; else one, or none.

        Raises:
            CassetteError: they are damaged.
        """
        return spans.decode_replies(self.recorded.attributes)


@dataclass(frozen=True, slots=True)
class InStream:
    """Where a recorded call that was asked stands among the streams of its lane; see :meth:`Responder.stream`.

    Args:
        opens: what its reply calls the stream that it opens, such as a cursor's id; empty when it opens none.
        continues: likewise of the stream that it asked more of.
    """

    opens: str = ""
    continues: str = ""


class Stream(Protocol):
    """What one recorded call had come after it: batches of a cursor, messages of a subscription or for a consumer.

    Of each is taken once what was recorded, in order. Nothing is made up behind its end.
    """

    def next(self) -> Answer | None:
        """Give the next one and count it as answered; None behind the last that was recorded."""
        ...

    def upcoming(self) -> Span | None:
        """Give the next one, be it due or not; it stays the next."""
        ...

    def is_due(self) -> bool:
        """Whether there is a next one, and all that the recorded lane had asked before it came is asked now too."""
        ...

    def watch(self, tell: Callable[[Answer], object]) -> None:
        """Give each next one by itself as soon as it is due.

        Args:
            tell: gets it, in the thread whose call made it due.
        """
        ...

    def wake(self, told: Callable[[], object]) -> None:
        """As :meth:`watch` for who takes each by :meth:`next`, when there is a reader for it.

        Args:
            told: called when there is one that is due; it may be called again for the same.
        """
        ...

    def close(self) -> None:
        """Give nothing more by itself."""
        ...


class Responder(Protocol):
    """Stands in for a library's I/O in a replay."""

    def answer(
        self,
        description: Description,
        asked: Callable[[], object],
        instead: Sequence[Description] = (),
        *,
        recording: Recording = dict,
    ) -> Answer:
        """Give the recorded call that answers the live one, in the current lane.

        Args:
            description: of the live call.
            asked: renders the live call for a miss report (JSON-like); called only then.
            instead: other descriptions under which it may have been recorded: a request not sent to its end.
            recording: gives the attributes by which a recording of the live call would hold what it asks; called only
                where the replay is to become a recording.

        Raises:
            ReplayMiss: nothing recorded answers it.
            GoesOut: nothing recorded answers it, and the user wants it to go out; only where the integration
                :attr:`Integration.goes_out`.
        """
        ...

    def refuse(self, message: str) -> NoReturn:
        """Count a miss that the integration noticed itself.

        Args:
            message: what was asked, and what to do about it.

        Raises:
            ReplayMiss: always.
        """
        ...

    def next_in_lane(self, description: Description, *, in_turn: bool = True) -> Answer | None:
        """Give the recorded call of that description if it is the earliest unanswered of the current lane, else None.

        For what a library raises before it sends anything: a live run cannot ask for it, only arrive at it.

        Args:
            description: of the call.
            in_turn: whether no other call may be unanswered that came before it.
        """
        ...

    def is_next(self, is_such: Callable[[Description], bool]) -> bool:
        """Whether the earliest unanswered call of the current lane is such a one; it stays unanswered."""
        ...

    def serve(self, recorded: Span) -> Answer:
        """Count a recorded call as answered that the integration chose itself (the next batch of a cursor)."""
        ...

    def stream(self, opener: Span, name: str = "") -> Stream:
        """Give what was recorded to come after a call without being asked for, or being asked for as "the next".

        Args:
            opener: the recorded call that opened the stream.
            name: of the stream, as :attr:`Integration.stream` has it; empty where only :data:`spans.FOLLOWS` tells.
        """
        ...

    def wait(self, recorded: Span, after: Span | None = None) -> float:
        """Seconds that a recorded call is to take: none, unless the user wants the recorded pace.

        Args:
            recorded: the call, such as a blocking pop or a long poll.
            after: of a stream, the one that came before it, from whose end on the time counts.
        """
        ...

    def hand_out(self, kind: str) -> Iterator[Lane]:
        """Give the recorded entries of a kind that this integration recorded, in order, each once in a whole replay.

        For entries that nobody sends from outside. The live one names the lane by :data:`spans.LANE_HEADER`.

        Args:
            kind: such as ``task``.
        """
        ...

    def takes_requests(self, kind: str) -> bool:
        """Whether a process that recorded entries of a kind was sent others from outside, too: it goes on behind them.

        Args:
            kind: such as ``message``.
        """
        ...

    def follow(self, entry: Entry) -> OpenLane | None:
        """Open a lane for a call of the app's own that is the like of a recorded entry; None when none is.

        Args:
            entry: such as a task that is called as a plain function.
        """
        ...

    def left_open(self) -> bool:
        """Whether the client of the recorded entry left, so that its app did not finish what it had begun."""
        ...

    def client_gone(self) -> bool:
        """Whether the client of the live entry is known to have left as well."""
        ...

    def facts(self, name: str) -> str | None:
        """The first value that any recorded call of this integration, or its resource, has of an attribute."""
        ...

    def all_facts(self, name: str) -> list[str]:
        """The different values that recorded calls of this integration have of an attribute, of many calls at most."""
        ...

    def recorded_with(self, name: str, value: str) -> Iterator[Span]:
        """Give recorded calls of this integration that have a value of an attribute, whether they count or not.

        Those of the current lane and the session that nothing has asked for yet come first, then the latest that was
        asked for, and at last one of any other lane.

        Args:
            name: of the attribute.
            value: of it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Generator:
    """A library's public function that draws where Python does not see it: the call is the draw.

    Args:
        module: that has it.
        name: attribute path in it.
        group: the setting that switches it, one of :data:`timetracer_otel.config.NONDETERMINISM`.
    """

    module: str
    name: str
    group: str


def _no_values(_span: Span) -> Iterable[Value]:
    return ()


def _in_no_stream(_span: Span) -> InStream | None:
    return None


def _own_answer(span: Span) -> bytes:
    """Treat no answer as like another one: the default of a family that does not say what changes in each reply."""
    return span.span_id.encode()


@dataclass(frozen=True, slots=True)
class Integration:
    """A library, declared.

    Args:
        name: what ``--live`` and ``--mock`` call it, and the ``timetracer.plugin`` of its spans.
        patches: the seams.
        apps: of a web framework, what gives each app OpenTelemetry's instrumentation when it is made, for programs that
            install us from code. Those that ``opentelemetry-instrument`` starts have it already.
        handlers: of a web framework, where it calls the app's own function that answers a request; applied for a
            debugger only, see :mod:`timetracer_otel.seams.handlers`.
        aliases: other names that mean it (``motor`` for pymongo).
        packages: the library's packages by the names that they are imported by, and for each the distribution whose
            version is recorded once it is imported; empty for the standard library.
        instrumentors: OpenTelemetry's, whose spans are the calls of this library when they are on.
        describe: a recorded call's :class:`Description`; None when the call never counts.
        reply_values: the values in a recorded call's reply.
        answer: digest of what a recorded call was told, equal for equal answers.
        render: a recorded call as JSON-like data for people: ``{"request": …, "response": …}``.
        stream: where a recorded call that was asked stands in a stream; None when it is in none.
        volatile: fields of such a request that no comparison looks at.
        transport: fields of what ``render`` gives that say how a call travels: people see them when they ask for all.
        oldest: the distribution, and the oldest version of it that has these seams.
        plumbing: modules whose clock readings and random values are the driver's own, for waits, pools and the like:
            they are not recorded and stay live in a replay. A name that ends with a dot is a whole package.
        apart: likewise modules that work for themselves also through other libraries: what those draw for them is the
            driver's own too.
        generators: its functions that make ids, keys or salts of which the app gets the result.
        version1: how cassettes of timetracer 1.x name the library.
        goes_out: whether one call can go out in a replay of which the others are answered.
        function: of a library whose tasks are the app's plain functions: from the target of a recorded entry gives what
            a replay patches, so that the function follows a lane when it is called; None where there is nothing.
    """

    name: str
    patches: tuple[Patch, ...]
    aliases: tuple[str, ...] = ()
    apps: tuple[Patch, ...] = ()
    handlers: tuple[Patch, ...] = ()
    describe: Callable[[Span], Description | None] | None = None
    reply_values: Callable[[Span], Iterable[Value]] = _no_values
    answer: Callable[[Span], bytes] = _own_answer
    render: Callable[[Span], dict[str, Any]] | None = None
    stream: Callable[[Span], InStream | None] = _in_no_stream
    volatile: frozenset[str] = frozenset()
    transport: frozenset[str] = frozenset()
    oldest: tuple[str, tuple[int, int]] | None = None
    plumbing: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)
    instrumentors: tuple[Instrumentor, ...] = ()
    generators: tuple[Generator, ...] = ()
    version1: tuple[Library, ...] = ()
    goes_out: bool = False
    function: Callable[[str], Patch | None] | None = None
    scopes: frozenset[str] = field(init=False)
    """Instrumentation scopes whose spans are calls of this library."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "scopes", frozenset(one.scope for one in self.instrumentors))

    def only(self, patches: tuple[Patch, ...]) -> Self:
        """The same with other patches."""
        return replace(self, patches=patches)

    @property
    def names(self) -> tuple[str, ...]:
        """The name and the aliases."""
        return (self.name, *self.aliases)
