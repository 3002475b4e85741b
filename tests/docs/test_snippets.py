"""The documentation is true: what it shows runs, what it names exists, what exists is named."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from examples.support import MongoServer
from tests.support import kafka, mysql, postgres
from tests.support.pages import Reader, blocks, commands
from timetracer_otel import spans
from timetracer_otel.config import PREFIX, Settings
from timetracer_otel.integrations import discover

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", *DOCS]
DATABASES = {"DATABASE_URL": postgres, "MYSQL_URL": mysql, "KAFKA": kafka}
"""What runs the server that a page asks for by this variable."""
EVERYWHERE = [*PAGES, *sorted((ROOT / "examples").glob("*/README.md"))]


def text(page: Path) -> str:
    """Read a page."""
    return page.read_text(encoding="utf-8")


def row(page: str, first: str) -> list[str]:
    """Give the cells of the row of a table that begins with ``first`` in code."""
    found = re.search(rf"^\| `{re.escape(first)}` \|.*$", page, re.MULTILINE)
    assert found is not None, f"no row for {first}"
    return [cell.strip() for cell in found[0].strip("|").split(" | ")]


@pytest.mark.system  # a minute: pages start programs
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_does_what_it_shows(page: Path, tmp_path: Path, mongo_server: MongoServer) -> None:
    """Every Python block runs, every command gives the output that is printed below it."""
    needed = next((one for name, one in DATABASES.items() if name in text(page)), None)
    if needed is None:
        Reader(tmp_path, mongo_server).follow(text(page))
        return
    with needed.running() as database:
        Reader(tmp_path, mongo_server, database).follow(text(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks_say_what_they_are(page: Path) -> None:
    """A block that looks like Python or a session at the prompt is marked as such, so that it is run."""
    unmarked = [
        block.line
        for block in blocks(text(page))
        if block.language not in {"python", "console", "toml"}
        and re.search(r"^(\$ |import |from )", block.text, re.MULTILINE)
    ]
    assert unmarked == []


@pytest.mark.parametrize("page", EVERYWHERE, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link leads to a file, and its fragment to a heading there."""
    for target, fragment in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", text(page)):
        linked = page.parent / target if target else page
        assert linked.exists(), target
        headings = (
            [heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", text(linked), re.MULTILINE)]
            if fragment
            else []
        )
        assert not fragment or fragment in headings, f"{target}#{fragment}"


def test_extras_that_are_named_exist() -> None:
    """``pip install 'timetracer-otel[…]'`` names extras of the project."""
    known = set(tomllib.loads(text(ROOT / "pyproject.toml"))["project"]["optional-dependencies"])
    named = {
        extra
        for page in PAGES
        for found in re.findall(r"timetracer-otel\[([\w,-]+)\]", text(page))
        for extra in found.split(",")
    }
    assert named
    assert named <= known


def test_every_setting_is_documented_with_its_default() -> None:
    """The table of configuration.md has every setting: variable, key and default, and nothing else."""
    page = text(ROOT / "docs" / "configuration.md")
    for field in fields(Settings):
        default = "none" if field.default == () else f"`{field.default}`"
        cells = row(page, PREFIX + field.name.upper())
        assert cells[1:3] == [f"`{field.name}`", default.lower()]
        assert cells[3]
    assert len(re.findall(r"^\| `TIMETRACER_", page, re.MULTILINE)) == len(fields(Settings))


def test_every_attribute_is_documented() -> None:
    """cassettes.md names each attribute, payload and header of ``spans``."""
    page = text(ROOT / "docs" / "cassettes.md")
    names = {value for name, value in vars(spans).items() if name.isupper() and isinstance(value, str)}
    assert {spans.REQUEST, spans.LANE_HEADER} <= names
    assert {name for name in names if f"{name}`" not in page} == set()


def test_every_integration_has_a_page() -> None:
    """Each library has a page of one shape, linked from the index."""
    names = {name for one in discover().values() for name in one.names}
    assert "pymongo" in names
    # A distribution's spelling of a module's name (aio-pika) is the same library.
    for name in names - {name for name in names if name.replace("-", "_") in names - {name}}:
        headings = re.findall(r"^## (.+)$", text(ROOT / "docs" / f"{name}.md"), re.MULTILINE)
        assert headings == ["Install", "Use", "What is captured", "Limits"], name
        assert f"({name}.md)" in text(ROOT / "docs" / "index.md")


def test_commands_are_taken_apart() -> None:
    """A console block gives its commands, each with the lines below it."""
    assert list(commands("$ one\n$ two --x\na\nb\n")) == [("one", ""), ("two --x", "a\nb\n")]
