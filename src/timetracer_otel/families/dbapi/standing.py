"""Classes that stand in the place of a module's classes of C, whose names cannot be set: subclasses of them."""

from __future__ import annotations

from abc import ABCMeta
from types import new_class
from typing import Any, Final
from weakref import WeakKeyDictionary

import wrapt

__all__ = ["Stands", "named_as", "ours", "real"]

_PROXY: Final[Any] = getattr(wrapt, "BaseObjectProxy", wrapt.ObjectProxy)  # wrapt 1 has only the latter
_MARK: Final = "_timetracer_stands"
_combined: WeakKeyDictionary[type, type] = WeakKeyDictionary()


class Stands(ABCMeta):
    """The class of such a class: what is of the module's class is of this one.

    Derived from ABCMeta, so that an app's class may have abstract classes beside it among its bases.
    """

    def __instancecheck__(cls, instance: object) -> bool:
        original: Any = cls.__base__
        return isinstance(instance, original) if _MARK in vars(cls) else type.__instancecheck__(cls, instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        original: Any = cls.__base__
        return issubclass(subclass, original) if _MARK in vars(cls) else type.__subclasscheck__(cls, subclass)


def real(one: Any) -> Any:
    """Give what a proxy stands for: OpenTelemetry's instrumentors hand proxies to the app, which no type of C takes.

    Args:
        one: of the app; what is no proxy is given as it is.
    """
    while isinstance(one, _PROXY):
        one = one.__wrapped__
    return one


def named_as(cls: Any, original: Any) -> Any:
    """Let a class stand in the place of its base.

    Args:
        cls: of the class :class:`Stands`.
        original: its base, of C.
    """
    setattr(cls, _MARK, True)
    cls.__module__, cls.__doc__ = original.__module__, original.__doc__
    cls.__name__ = cls.__qualname__ = original.__name__
    return cls


def ours(factory: Any, mine: Any) -> Any:
    """Give a class of the app's with one of ours below its own methods.

    Args:
        factory: the app's; None where it names none. What is no class, or has ours in it, stays as it is.
        mine: that stands in the place of the module's.
    """
    original = mine.__base__
    if factory is None or factory is original:
        return mine
    if not isinstance(factory, type) or not issubclass(factory, original) or mine in factory.__mro__:
        return factory
    if factory not in _combined:
        names = {name: getattr(factory, name) for name in ("__module__", "__qualname__", "__doc__")}
        _combined[factory] = new_class(factory.__name__, (factory, mine), exec_body=lambda body: body.update(names))
    return _combined[factory]
