"""The MongoDB family: what a wire message asks, in the form that recorded and live commands are compared by."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from operator import itemgetter
from typing import TypeAlias

from timetracer_otel.families.mongodb.bson_walk import (
    ARRAY,
    BOOL,
    DOCUMENT,
    INT64,
    PLAIN,
    STRING,
    Element,
    Found,
    documents,
    elements,
    guarded,
    scan,
    taken,
)
from timetracer_otel.families.mongodb.unordered_lists import lists_without_order, may_have_lists
from timetracer_otel.families.mongodb.wire import VOLATILE, Message, sections_of
from timetracer_otel.seams.descriptions import Deferred, Description, Value

__all__ = ["asked", "describe"]

# Commands that change nothing, in small letters: old servers also know "ismaster", "collstats", "buildinfo".
_READS = frozenset(
    b"aggregate buildinfo collstats connectionstatus connpoolstats count currentop datasize dbhash dbstats distinct"
    b" explain features filemd5 find geonear geosearch getcmdlineopts getlog getmore getparameter hello hostinfo"
    b" isdbgrid ismaster listcollections listcommands listdatabases listindexes listshards lockinfo ping"
    b" replsetgetconfig replsetgetstatus rolesinfo serverstatus top usersinfo whatsmyuri".split()
)
_SETTLES = b"createindexes"
"""Object mappers send it when a model is first used in a process. It changes no document."""
_WRITING_STAGES = (b"$out", b"$merge")
_STATEMENTS = frozenset({"updates", "deletes"})
_JOINING_STAGES = (b"$lookup", b"$graphLookup", b"$unionWith")
_WRITES_IN = re.compile(b"|".join(re.escape(stage + b"\0") for stage in _WRITING_STAGES))
_JOINS_IN = re.compile(b"|".join(re.escape(stage + b"\0") for stage in _JOINING_STAGES))
_NO_DATA = frozenset(
    b"abortTransaction authenticate endSessions getnonce killCursors killSessions logout refreshSessions saslContinue"
    b" saslStart startSession".lower().split()
)
_ANYWHERE = frozenset(b"applyops bulkwrite committransaction renamecollection".split())
"""Commands that say elsewhere than in their address what they write."""
_Address: TypeAlias = tuple[tuple[str, ...], bool, tuple[tuple[str, ...], ...], bool]
"""Key, whether it only reads, subjects, and whether it settles: of a :class:`Description`."""
_NAME = itemgetter(1)
_OFFSET = itemgetter(1)


class _Shape:
    """Collects a message's description: bytes with the generated values zeroed, and these values."""

    __slots__ = ("pieces", "unordered", "values")

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.values: list[Value] = []
        self.unordered: list[tuple[int, int, int]] = []

    def add(self, buf: bytes, start: int, end: int, found: list[Found]) -> None:
        if found:
            left, made = taken(buf, start, end, found)
            self.pieces.append(left)
            self.values += made
        else:
            self.pieces.append(buf[start:end])

    def add_command(self, buf: bytes, command: list[Element]) -> None:
        """Add the elements of the message's body."""
        kind, name, start, value, end = command[0]
        if name == b"explain" and kind == DOCUMENT:  # what is explained is a command with the same fields
            self.pieces.append(buf[start:value])
            self._add_elements(buf, _ordered(elements(buf, value, end)))
            self.pieces.append(b"\0")
            self._add_elements(buf, _ordered(command)[1:])
        elif name == b"getMore" and kind == INT64:  # a cursor's id: the caller follows these
            self.pieces.append(buf[start:value] + bytes(8))
            self._add_elements(buf, _ordered(command)[1:])
        else:
            self._add_elements(buf, _ordered(command))

    def _add_elements(self, buf: bytes, found: list[Element]) -> None:
        lists = lists_without_order(buf, found) if may_have_lists(buf) else []
        for kind, _name, start, _value, end in found:
            found_inside = [] if PLAIN[kind] else scan(buf, start, end)
            if lists and not PLAIN[kind]:
                self._add_with_lists(buf, start, end, found_inside, lists)
            elif found_inside:
                self.add(buf, start, end, found_inside)
            else:
                self.pieces.append(buf[start:end])

    def add_section(self, name: str, content: bytes) -> None:
        # A zero is no type of an element: nothing in a body can look like the start of a section.
        self.pieces.append(b"\0%b\0%d\0" % (name.encode(), len(content)))
        if len(content) < _LARGE:
            self._add_documents(name, content)
            return
        digest, made, unordered = _large_section(name, content)
        self.pieces.append(digest)
        before = len(self.values)
        self.values += made
        self.unordered += [(before + start, count, width) for start, count, width in unordered]

    def _add_documents(self, name: str, content: bytes) -> None:
        places = list(documents(content))
        found = [value for start, end in places for value in scan(content, start + 4, end - 1)]
        holds_statements = name in _STATEMENTS and may_have_lists(content) is not None
        lists = [
            one for start, end in places if holds_statements
            for one in lists_without_order(content, elements(content, start, end))
        ]  # fmt: skip
        self._add_with_lists(content, 0, len(content), found, lists)

    def _add_with_lists(
        self, buf: bytes, start: int, end: int, found: list[Found], lists: list[tuple[int, int]]
    ) -> None:
        """Add bytes in which some arrays may stand in any order."""
        for first, last in lists:
            if start <= first and last <= end:
                before = bisect_left(found, first, key=_OFFSET)
                behind = bisect_left(found, last, key=_OFFSET)
                self.add(buf, start, first, found[:before])
                self._add_list(buf, first, last, found[before:behind])
                start, found = last, found[behind:]
        self.add(buf, start, end, found)

    def _add_list(self, buf: bytes, start: int, end: int, found: list[Found]) -> None:
        """Add an array as a multiset: items that look alike follow one another, and their values may be swapped."""
        items = defaultdict[bytes, list[list[Value]]](list)
        at = 0
        for kind, _name, _start, value, last in elements(buf, start, end):
            inside = at
            while inside < len(found) and found[inside][1] < last:
                inside += 1
            left, made = taken(buf, value, last, found[at:inside])
            items[bytes((kind,)) + left].append(made)
            at = inside
        for piece in sorted(items):
            alike = items[piece]
            self.pieces.append(b"\0%d\0%d\0%b" % (len(alike), len(piece), piece))
            if alike[0]:
                self.unordered.append((len(self.values), len(alike), len(alike[0])))
                self.values += [value for item in alike for value in item]


_LARGE = 1024
"""Bytes from which on a section is described by the digest of what is left of it."""
_SECTIONS_KEPT = 8192
_Section: TypeAlias = tuple[bytes, tuple[Value, ...], list[tuple[int, int, int]]]
"""Digest of what is left, the values, and the places of lists without order."""
_sections: OrderedDict[bytes, _Section] = OrderedDict()


def _large_section(name: str, content: bytes) -> _Section:
    """Describe a section; what a recorded call sent mostly comes again, byte for byte, and is known then."""
    key = blake2b(content, digest_size=16, person=name.encode()[:16]).digest()
    known = _sections.get(key)
    if known is None:
        shape = _Shape()
        shape._add_documents(name, content)  # noqa: SLF001 - of the same kind
        left = blake2b(b"".join(shape.pieces), digest_size=16).digest()
        known = _sections[key] = left, tuple(shape.values), shape.unordered
        if len(_sections) > _SECTIONS_KEPT:
            with suppress(KeyError):  # another thread has emptied it
                _sections.popitem(last=False)
    return known


def _ordered(command: list[Element]) -> list[Element]:
    """Give the command's name first, the other kept elements sorted; repeated names keep their order."""
    kept = [element for element in command[1:] if element[1] not in VOLATILE]
    kept.sort(key=_NAME)
    return command[:1] + kept


@guarded
def asked(message: Message, again: Callable[[], Message] | None = None) -> Description:
    """Say what a message asks, as :func:`describe` does, but for what only one that differs is compared by.

    Args:
        message: the command.
        again: reads it anew when that is needed; None to keep it until then.

    Raises:
        CassetteError: the body is no BSON document, or names no command.
    """
    command = _elements(message)
    key, read, subjects, settles = _address(message, command)
    whole = partial(describe, message) if again is None else lambda: describe(again())
    same = (key, _as_sent(message, command))
    return Deferred(same=same, whole=whole, key=key, read=read, subjects=subjects, settles=settles)


def _elements(message: Message) -> list[Element]:
    command = elements(message.body, 0, len(message.body))
    if not command:
        raise ValueError("a command without a name")
    return command


def _as_sent(message: Message, command: list[Element]) -> bytes:
    """Digest of a message without the fields that drivers add."""
    body = message.body
    digest = blake2b(b"".join([body[start:end] for _, _, start, _, end in _ordered(command)]), digest_size=16)
    for name, content in message.sections:
        digest.update(b"\0%b\0%d\0" % (name.encode(), len(content)))  # as in _Shape.add_section
        digest.update(content)
    return digest.digest()


@guarded
def describe(message: Message) -> Description:
    """Say what a message asks, so that the same request made in another run compares equal.

    The key is ``("mongodb", database, command, collection)``, the last empty for commands without one. The shape keeps
    everything but the fields that the driver adds (session, cluster time, timeouts, concerns, comment) and the values
    that an app may generate anew, which are zeroed and listed (see :func:`values` for their kinds). ``1``, ``1.0`` and
    a 64-bit ``1`` differ: no supported driver version was found to vary between them. A getMore's cursor id counts
    for nothing here. Nested documents count with their order, lists but where that means nothing to the server.

    Raises:
        CassetteError: the body is no BSON document, names no command, or is nested too deep.
    """
    command = _elements(message)
    shape = _Shape()
    shape.add_command(message.body, command)
    if message.sections:
        for name, content in sorted(sections_of(message)):
            shape.add_section(name, content)
    digest = blake2b(b"".join(shape.pieces), digest_size=16).digest()
    key, read, subjects, settles = _address(message, command)
    values, unordered = tuple(shape.values), tuple(shape.unordered)
    return Description(key, digest, values, read, unordered=unordered, subjects=subjects, settles=settles)


def _address(message: Message, command: list[Element]) -> _Address:
    key, settles = _key(message, command), command[0][1].lower() == _SETTLES
    read = settles or _is_read(message.body, command)
    return key, read, () if settles else _subjects(key, message.body, command), settles


def _subjects(key: tuple[str, ...], body: bytes, command: list[Element]) -> tuple[tuple[str, ...], ...]:
    """Give the subjects of a command: its collection; its database, or all, when it goes beyond that."""
    system, database, _, collection = key
    name = command[0][1].lower()
    if name in _NO_DATA:
        return ()
    if name in _ANYWHERE or _WRITES_IN.search(body):
        return ((system,),)
    joins = _JOINS_IN.search(body)
    return ((system, database, collection) if collection and not joins else (system, database),)


def _key(message: Message, command: list[Element]) -> tuple[str, ...]:
    body = message.body
    database = message.namespace.partition(".")[0]
    continued = ""
    for kind, name, _start, value, end in command:
        if kind == STRING and name == b"$db":
            database = _text(body, value, end)
        elif kind == STRING and name == b"collection":
            continued = _text(body, value, end)
    kind, name, _start, value, end = command[0]
    collection = _text(body, value, end) if kind == STRING else ""
    if name == b"explain" and kind == DOCUMENT:
        inner = elements(body, value, end)
        collection = _text(body, inner[0][3], inner[0][4]) if inner[:1] and inner[0][0] == STRING else ""
    elif name == b"getMore":
        collection = continued
    return ("mongodb", database, name.decode("utf-8", "replace"), collection)


def _text(buf: bytes, value: int, end: int) -> str:
    return buf[value + 4 : end - 1].decode("utf-8", "replace")


def _is_read(body: bytes, command: list[Element]) -> bool:
    name = command[0][1].lower()
    if name not in _READS:
        return False
    for kind, field, _start, value, end in command:
        if kind == BOOL and field == b"autocommit" and not body[value]:
            return False  # in a transaction: it sees what that transaction wrote
        if kind == ARRAY and field == b"pipeline" and name == b"aggregate" and _writes(body, value, end):
            return False
    return True


def _writes(body: bytes, start: int, end: int) -> bool:
    if not any(body.find(stage + b"\0", start, end) > 0 for stage in _WRITING_STAGES):
        return False
    stages = [
        elements(body, value, last) for kind, _name, _at, value, last in elements(body, start, end) if kind == DOCUMENT
    ]
    return any(stage[0][1] in _WRITING_STAGES for stage in stages if stage)
