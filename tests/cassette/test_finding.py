"""Which files a user means by a file, a directory, a glob or `latest`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from timetracer_otel.cassette import storage
from timetracer_otel.errors import CassetteError


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A cassette directory with two days, and files that are no cassettes."""
    root = tmp_path / "cassettes"
    for name in ("2023-11-14/22/a.jsonl", "2023-11-14/22/b.jsonl.gz", "2023-11-15/01/c.jsonl.zst"):
        storage.write_whole(root / name, b"x")
    for name in ("2023-11-15/01/d.jsonl.part", "2023-11-15/01/notes.txt", ".x.jsonl.link"):
        (root / name).write_bytes(b"x")
    storage.point_latest(root, root / "2023-11-15/01/c.jsonl.zst")
    return root


def found(directory: Path, *specs: str) -> list[str]:
    """The names of the files that are found."""
    return [path.name for path in storage.find(specs, directory)]


def test_a_directory_means_all_cassettes_below_it(directory: Path) -> None:
    """In order of name; unfinished files, other files and the link to the latest are left out."""
    assert found(directory, str(directory)) == ["a.jsonl", "b.jsonl.gz", "c.jsonl.zst"]
    assert found(directory, str(directory / "2023-11-14")) == ["a.jsonl", "b.jsonl.gz"]


def test_a_file_means_itself_whatever_its_name(directory: Path) -> None:
    """Even one that a directory would leave out."""
    assert found(directory, str(directory / "2023-11-15/01/notes.txt")) == ["notes.txt"]


def test_latest_means_the_file_that_the_link_leads_to(directory: Path) -> None:
    """By the word or by the link's own name: the session is then looked for beside the lane."""
    target = directory / "2023-11-15/01/c.jsonl.zst"
    assert storage.find(["latest"], directory) == [target]
    assert storage.find([str(directory / "latest.jsonl")], Path("elsewhere")) == [target]


def test_a_glob_means_what_it_matches(directory: Path) -> None:
    """Folders that match stand for what is below them; `**` goes into all."""
    assert found(directory, f"{directory}/*/22/*.jsonl*") == ["a.jsonl", "b.jsonl.gz"]
    assert found(directory, f"{directory}/2023-11-1?") == ["a.jsonl", "b.jsonl.gz", "c.jsonl.zst"]
    assert found(directory, f"{directory}/**/*.jsonl*") == ["a.jsonl", "b.jsonl.gz", "c.jsonl.zst"]


def test_several_can_be_given_in_one_string_or_in_many(directory: Path) -> None:
    """Each file comes once."""
    first, second = str(directory / "2023-11-14/22/a.jsonl"), str(directory / "2023-11-15")
    assert found(directory, os.pathsep.join([second, first, ""]), first) == ["c.jsonl.zst", "a.jsonl"]


def test_a_name_with_a_separator_or_a_bracket_in_it_is_found(directory: Path) -> None:
    """What exists is taken as it is."""
    odd = directory / f"a{os.pathsep}[b]*.jsonl"
    odd.write_bytes(b"x")
    assert storage.find([str(odd)], directory) == [odd]


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        ("missing.jsonl", "there is no file or directory of this name"),
        ("x" * 5000, "there is no file or directory of this name"),
        ("a\0b", "there is no file or directory of this name"),
        ("nothing-*.jsonl", "no file matches this pattern"),
        ("empty", "no cassette in this directory"),
        ("", "no cassette was named"),
        ("https://example.org/a.jsonl", "cannot be read from https:// URLs"),
    ],
)
def test_what_leads_to_no_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, cause: str
) -> None:
    """Even when another one of several does."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "good.jsonl").write_bytes(b"x")
    with pytest.raises(CassetteError, match=cause):
        storage.find([spec], tmp_path)
    if spec:
        with pytest.raises(CassetteError, match=cause):
            storage.find(["good.jsonl", spec], tmp_path)


def test_latest_before_any_recording_is_refused(tmp_path: Path) -> None:
    """The error names the directory that was looked in."""
    with pytest.raises(CassetteError, match="nothing has been recorded here yet") as caught:
        storage.find(["latest"], tmp_path)
    assert caught.value.file == str(tmp_path)


def test_latest_whose_lane_was_deleted_is_refused(directory: Path) -> None:
    """Another lane is not served in its stead."""
    (directory / "2023-11-15/01/c.jsonl.zst").unlink()
    with pytest.raises(CassetteError, match="which is gone"):
        storage.find(["latest"], directory)


def test_a_folder_that_cannot_be_listed_is_refused(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cassettes are not left out silently. The tests may run as root, so the refusal is made."""
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("01"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(CassetteError, match=r"01: cannot be read \(Permission denied\)"):
        storage.find([str(directory)], directory)


@pytest.mark.parametrize("refused", ["listed", "opened"])
def test_a_folder_that_cannot_be_read_hides_no_other(
    directory: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    """Who takes the error gets the rest: where the folder cannot be listed, and where nothing in it can be opened."""
    scandir, access = os.scandir, os.access

    def refuse(path: str) -> object:
        if str(path).endswith("01"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    if refused == "listed":
        monkeypatch.setattr(os, "scandir", refuse)
    else:
        monkeypatch.setattr(os, "access", lambda path, mode: not path.endswith("01") and access(path, mode))
    left_out: list[CassetteError] = []
    files = storage.find([str(directory)], directory, left_out=left_out)
    assert files
    assert not any("/01/" in str(file) for file in files)
    assert [str(error) for error in left_out] == [
        f"{directory}/2023-11-15/01: cannot be read (Permission denied): check its permissions"
    ]
    with pytest.raises(CassetteError, match="01: cannot be read"):
        storage.find([str(directory / "2023-11-15" / "01")], directory, left_out=left_out)
