"""Where something is drawn, in words that stay when lines move.

Of the app's own code that is a module and a statement, without the texts that stand in it. What a library draws has
besides the library's module and function: one statement of the app may let a library draw at many places, and the first
time at more of them than later. No text of a library is read; that would take longer than everything else.
"""

from __future__ import annotations

import ast
import copy
import gc
import hashlib
import importlib.util
import linecache
import os
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Final, TypeAlias

from timetracer_otel.nondeterminism import callers
from timetracer_otel.nondeterminism.callers import Asker

__all__ = ["Site", "at", "busy", "by_same_library", "forget", "of", "runs", "shown", "still_there", "watch"]

Site: TypeAlias = tuple[str, ...]
"""A module and the text of one of its statements, without comments and layout, of a compound one its head; behind them
of a library's draw its module and function. The first two are empty where no code of the app asked for it."""
_BODIES: Final = ("body", "orelse", "finalbody", "handlers", "cases")
_LONGEST: Final = 100
"""Characters of a statement's text that are kept; of a longer one the rest is a digest."""
_sites: dict[tuple[int, int | Asker], tuple[Site, CodeType]] = {}
"""By the code object's identity, which the value keeps alive: a code object's own hash reads all of it."""
_files: dict[str, _Source] = {}
_TRIES: Final = 10
_parsing = threading.Lock()
"""Python 3.11's parser fails when two threads are in it: SystemError, "AST constructor recursion depth mismatch"."""
_collects_again = False
"""Whether garbage was collected before the thread that parses began, and is to be when it has ended."""


busy: Final[set[int]] = set()
"""Identities of the threads that read a source or collect garbage: empty nearly always, which costs a draw little.

What a finalizer draws comes at no certain moment, so it does not count; and it must not wait for its own thread.
"""


def _collection_begins(phase: str, _info: object) -> None:
    if phase == "start":
        busy.add(threading.get_ident())


def _collection_ends(phase: str, _info: object) -> None:
    if phase == "stop":
        busy.discard(threading.get_ident())


def watch() -> None:
    """Take note of when garbage is collected: before whatever else does, and until it has."""
    if _collection_begins not in gc.callbacks:
        gc.callbacks.insert(0, _collection_begins)
        gc.callbacks.append(_collection_ends)


@contextmanager
def _alone() -> Iterator[None]:
    """Collect no garbage meanwhile: a finalizer lets another thread into the parser."""
    global _collects_again  # noqa: PLW0603 - of the process, as the switch is
    _collects_again = gc.isenabled()
    gc.disable()
    busy.add(threading.get_ident())
    try:
        yield
    finally:
        busy.discard(threading.get_ident())
        _collect_again()


def _collect_again() -> None:
    global _collects_again  # noqa: PLW0603 - as above
    if _collects_again:
        gc.enable()
    _collects_again = False


def _after_fork() -> None:
    """In a child, undo what another thread of the parent had begun: that thread is not there to end it."""
    global _parsing  # noqa: PLW0603 - a lock that is held cannot be taken away
    _parsing = threading.Lock()
    busy.intersection_update({threading.get_ident()})
    _collect_again()


os.register_at_fork(after_in_child=_after_fork)


def _parsed(text: str) -> ast.Module:
    for _ in range(_TRIES):
        try:
            with _parsing, _alone():
                return ast.parse(text)
        except SystemError:  # the app parses something in another thread
            continue
        except (SyntaxError, ValueError):
            break
    return ast.Module([], [])


class _Source:
    """The statements of one file, by their lines; their texts are made when they are asked for."""

    def __init__(self, filename: str) -> None:
        self._by_line: dict[int, list[ast.stmt]] = defaultdict(list)
        self._texts: frozenset[str] | None = None
        tree = _parsed("".join(linecache.getlines(filename)))
        for node in ast.walk(tree):  # outer statements first
            if isinstance(node, ast.stmt):
                head = min((body[0].lineno for body in _bodies(node)), default=(node.end_lineno or node.lineno) + 1)
                for line in range(node.lineno, max(head, node.lineno + 1)):
                    self._by_line[line].append(node)
                for decorator in getattr(node, "decorator_list", ()):
                    self._by_line[decorator.lineno].append(node)

    def at(self, line: int, column: int) -> str | None:
        """The text of the innermost statement there; None when there is none."""
        here = self._by_line.get(line, [])
        inside = [node for node in here if _begins(node) <= (line, column) < _ends(node)]
        found = inside or here
        return _text(found[-1]) if found else None

    def has(self, text: str) -> bool:
        """Whether any statement reads like that."""
        if self._texts is None:
            self._texts = frozenset(_text(node) for nodes in self._by_line.values() for node in nodes)
        return text in self._texts


def at(frame: FrameType, asked: int | Asker) -> Site:
    """Give the site of a draw.

    Args:
        frame: that draws.
        asked: where a library draws, who of the app asked it; where the app itself does, the frame's instruction.
    """
    code = frame.f_code
    key = (id(code), asked)
    kept = _sites.get(key)
    if kept is None:
        kept = _sites[key] = _named(frame, asked), code
    return kept[0]


def _named(frame: FrameType, asked: int | Asker) -> Site:
    if isinstance(asked, int):
        return of(frame.f_code, asked, callers.classify(frame))
    by = ("", "") if asked.code is None else of(asked.code, asked.instruction, asked.module)
    return (*by, str(frame.f_globals.get("__name__", "")), frame.f_code.co_qualname)


def by_same_library(one: Site, other: Site) -> bool:
    """Whether two sites can be the same draw asked for by other statements of the app."""
    return one[2:] == other[2:]


def shown(site: Site) -> tuple[str, str]:
    """Module and statement as people are shown them, with the library that draws."""
    module, text, *library = site
    if not library:
        return module, text
    return (module, f"{text} ({'.'.join(library)})") if module else (library[0], library[1])


def of(code: CodeType, instruction: int, module: str) -> tuple[str, str]:
    """Give module and statement of an instruction of the app.

    Args:
        code: that runs.
        instruction: ``f_lasti`` of its frame.
        module: that the code belongs to.
    """
    return module, _statement(code, instruction)


def still_there(site: Site) -> bool:
    """Whether the program as it is now has such a statement in that module."""
    module, text = site[:2]
    if not module:
        return False
    filename = getattr(_loaded(module), "__file__", None)
    if filename is None:
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError, AttributeError):
            return False
        filename = spec.origin if spec is not None else None
    return filename is not None and _source(filename).has(text)


def runs(site: Site) -> bool:
    """Whether a module that is imported now has such a statement."""
    return bool(site[0]) and _loaded(site[0]) is not None and still_there(site)


def forget() -> None:
    """Forget all sources, and look at no garbage any more."""
    for callback in (_collection_begins, _collection_ends):
        if callback in gc.callbacks:
            gc.callbacks.remove(callback)
    _sites.clear()
    _files.clear()


def _loaded(module: str) -> object | None:
    return sys.modules.get(module) or _main_of(module)


def _main_of(module: str) -> object | None:
    main = sys.modules.get("__main__")
    file = str(getattr(main, "__file__", "") or "")
    return main if file.endswith(f"{module}.py") else None


def _source(filename: str) -> _Source:
    source = _files.get(filename)
    if source is None:
        source = _files[filename] = _Source(filename)
    return source


def _statement(code: CodeType, instruction: int) -> str:
    positions = list(code.co_positions())
    line, _, column, _ = positions[instruction // 2]
    line = line if line is not None else code.co_firstlineno
    if not code.co_filename.startswith("<") and (text := _source(code.co_filename).at(line, column or 0)) is not None:
        return text
    return f"{code.co_qualname}+{line - code.co_firstlineno}"  # no source: the best there is


def _bodies(node: ast.stmt) -> list[list[ast.stmt]]:
    bodies = (getattr(node, name, None) or [] for name in _BODIES)
    return [body for body in bodies if hasattr(next(iter(body), None), "lineno")]


def _begins(node: ast.stmt) -> tuple[int, int]:
    first = min([node, *getattr(node, "decorator_list", ())], key=lambda one: one.lineno)
    return first.lineno, first.col_offset if first is node else 0


def _ends(node: ast.stmt) -> tuple[int, int]:
    return node.end_lineno or node.lineno, node.end_col_offset or 0


class _WithoutTexts(ast.NodeTransformer):
    """Leaves the texts out that a statement holds: a cassette must not have a password that stands in a source."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant(type(node.value)()) if isinstance(node.value, str | bytes) else node


def _text(node: ast.stmt) -> str:
    """The statement without its literal texts; of a compound one only its head, of a definition not its name."""
    fields = dict(ast.iter_fields(node))
    fields |= {name: [] for name in _BODIES if name in fields}
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        fields["name"] = "_"
    head = ast.copy_location(type(node)(**fields), node)
    text = ast.unparse(_WithoutTexts().visit(copy.deepcopy(head)))
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}…{hashlib.blake2b(text.encode('utf-8', 'replace'), digest_size=6).hexdigest()}"
