"""Sorting what files hold by lane, in one pass and in little memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from timetracer_otel.cassette import loading, scratch
from timetracer_otel.cassette.framing import read_messages
from timetracer_otel.cassette.model import Span
from timetracer_otel.cassette.outlines import Draft
from timetracer_otel.cassette.reading import DocumentPart, document_of, parted
from timetracer_otel.cassette.sessions import SessionSearch
from timetracer_otel.cassette.spool import Spool
from timetracer_otel.errors import CassetteError

__all__ = ["Sorter"]


@dataclass(slots=True)
class Sorter:
    """Counts and collects the findings so far.

    Attributes:
        drafts: lanes and sessions, by id.
        search: for sessions that are in other files.
        files: those that were read.
        spool: where files that hold several lanes were taken apart to.
    """

    drafts: dict[str, Draft] = field(default_factory=dict)
    search: SessionSearch = field(default_factory=SessionSearch)
    files: set[Path] = field(default_factory=set)
    spool: Spool | None = None

    def take(self, path: Path) -> None:
        """Read a file. One that holds a single lane stays where it is, others are taken apart.

        Args:
            path: the file, absolute; one that was read already is not read again.

        Raises:
            CassetteError: it cannot be read, or holds no span.
        """
        if path in self.files:
            return
        self.files.add(path)
        if scratch.holds(path) or not self._whole(path):
            self.take_apart(path, _parts(path))

    def _whole(self, path: Path) -> bool:
        """Note a file's only lane; False when it has more. What was noted of a part until then is noted again."""
        draft: Draft | None = None
        for parts in _parts(path):
            for lane_id, part in parts.items():
                if draft is not None and lane_id != draft.id:
                    return False
                draft = self._noted(lane_id, part.spans, path)
        if draft is None:
            raise loading.empty(path)
        draft.own[str(path)] = None
        draft.files[str(path)] = None
        return True

    def take_apart(
        self, path: Path, messages: Iterable[dict[str, DocumentPart]], left_out: list[CassetteError] | None = None
    ) -> None:
        """Copy what a file holds of each lane to the spool.

        Args:
            path: the file.
            messages: from it, by lane.
            left_out: gets the errors of what is damaged; None to stop at the first.

        Raises:
            CassetteError: they hold no span, one is damaged, or the disk is full.
        """
        if self.spool is None:
            self.spool = Spool()
        empty = True
        for parts in messages:
            for lane_id, part in parts.items():
                empty = False
                try:
                    draft = self._noted(lane_id, part.spans, path)
                except CassetteError as error:
                    if left_out is None:
                        raise
                    left_out.append(error.with_traceback(None))
                else:
                    draft.files[str(path)] = None
                    draft.pieces.append(self.spool.add(part.document))
        if empty:
            raise loading.empty(path)

    def _noted(self, lane_id: str, spans: list[Span], path: Path) -> Draft:
        draft = self.drafts.get(lane_id) or Draft(lane_id)
        for span in spans:
            self.search.saw(span, path)
            try:
                draft.take(span)
            except CassetteError as error:
                raise CassetteError(str(error), file=path) from error
        self.drafts[lane_id] = draft
        return draft


def _parts(path: Path) -> Iterator[dict[str, DocumentPart]]:
    for message in read_messages(path):
        yield parted(document_of(message, path), message, path)
