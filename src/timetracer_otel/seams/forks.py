"""What is made anew in a forked child, for objects that may be gone by then: nobody can take a hook of a fork back."""

from __future__ import annotations

import os
from collections.abc import Callable
from weakref import WeakMethod

__all__ = ["after_in_child"]


def after_in_child(method: Callable[[], None]) -> None:
    """Call a method in every forked child, for as long as somebody else holds its object.

    Args:
        method: bound to the object.
    """
    known = WeakMethod(method)
    os.register_at_fork(after_in_child=lambda: (still := known()) and still())
