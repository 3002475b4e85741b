"""A suite that a test writes and runs."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from textwrap import dedent
from typing import Final

import pytest

PLUGIN: Final = () if "timetracer" in entry_points(group="pytest11").names else ("-p", "pytest_timetracer")
"""What an installation from before the plugin says to have it."""

HEAD: Final = """
import json, os, time, urllib.request, uuid
import pytest

URL = os.environ["SUITE_URL"]

def ask(path="/"):
    with urllib.request.urlopen(URL + path) as response:
        return json.load(response)
"""


@dataclass
class Suite:
    """A folder with tests.

    Attributes:
        pytester: runs them.
        path: of the folder.
    """

    pytester: pytest.Pytester
    path: Path

    def write(self, name: str = "test_it", /, **files: str) -> None:
        """Write files of tests.

        Args:
            name: of the file whose text is ``text``.
            files: their texts by name, ``text`` for the first; each begins with :data:`HEAD`.
        """
        named = {name if key == "text" else key: HEAD + dedent(text) for key, text in files.items()}
        self.pytester.makepyfile(**named)

    def settings(self, *lines: str) -> None:
        """Write ``pytest.ini``.

        Args:
            lines: of it.
        """
        self.pytester.makeini("\n".join(["[pytest]", "asyncio_default_fixture_loop_scope = function", *lines]))

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run pytest in this process.

        Args:
            arguments: of its command line.
        """
        # Hypothesis imports half of itself at the end of each run, two seconds long.
        others = [word for name in ("cacheprovider", "hypothesispytest") for word in ("-p", f"no:{name}")]
        return self.pytester.runpytest_inprocess(*PLUGIN, *others, *arguments)

    def run_apart(self, *arguments: str) -> pytest.RunResult:
        """Run pytest in a process of its own.

        Args:
            arguments: of its command line.
        """
        return self.pytester.runpytest_subprocess(*PLUGIN, *arguments)

    def cassettes(self) -> list[str]:
        """Give the names of all cassettes, below their folder."""
        folder = self.path / "cassettes"
        return sorted(str(file.relative_to(folder)) for file in folder.rglob("*.jsonl*"))
