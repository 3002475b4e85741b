"""The ``timetracer`` command line."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import sys
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from timetracer_otel import __version__, config
from timetracer_otel.cassette import finding, loading
from timetracer_otel.cassette.model import Lane
from timetracer_otel.cli import choosing, examples, keeping, lane_table, listing, output, progress
from timetracer_otel.errors import CassetteError, ConfigError, TimetracerError, in_words

__all__ = ["app", "run"]

_Strict = Annotated[
    bool, typer.Option("--strict", help="Stop at a file that cannot be read, instead of leaving it out.")
]

_Cassette = Annotated[
    str, typer.Argument(help="A file, directory, glob, URL; by default the latest.", metavar="[CASSETTE]")
]
_LaneId = Annotated[
    str | None,
    typer.Option("--lane", metavar="ID", help="Only this lane or session: its id, trace id, or how one begins."),
]

app = typer.Typer(
    name="timetracer",
    no_args_is_help=True,
    context_settings={"help_option_names": ["--help", "-h"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Look at cassettes: recorded requests and the calls that they made.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"timetracer-otel {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command("list")
def _list(  # noqa: PLR0913, PLR0917 - each is an argument of the command line
    directory: Annotated[
        str | None,
        typer.Argument(help="A directory, one cassette, or a URL. Default: TIMETRACER_DIR.", metavar="[DIR]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array, an object a lane.")] = False,
    route: Annotated[str, typer.Option(help="Only these: '/orders/*', 'POST /login'.", metavar="GLOB")] = "",
    status: Annotated[str, typer.Option(help="Only these: 404, 5xx, 400-499.", metavar="STATUS")] = "",
    error: Annotated[bool, typer.Option("--error", help="Only what failed.")] = False,
    slower: Annotated[str, typer.Option(help="Only what took as long: 250ms, 1.5s.", metavar="TIME")] = "0ms",
    since: Annotated[str, typer.Option(help="Only what began after: 30m, 2026-11-21T14:00.", metavar="TIME")] = "",
    until: Annotated[str, typer.Option(help="Only what began before.", metavar="TIME")] = "",
    service: Annotated[str, typer.Option(help="Only of this service.name.", metavar="NAME")] = "",
    text: Annotated[str, typer.Option(help="Only what holds this text, payloads included.", metavar="TEXT")] = "",
    sort: Annotated[choosing.Sort, typer.Option(help="What comes first.")] = "newest",
    limit: Annotated[int | None, typer.Option(min=1, help="How many at most.", metavar="N")] = None,
) -> None:
    """List the lanes and sessions of a directory, newest first.

    Files that cannot be read are named on stderr, and the exit status is then 2.
    """
    folder = _folder(directory)
    gc.disable()  # what is known of a hundred thousand files lives until the end
    now = datetime.now(UTC)
    wanted = choosing.Wanted(
        route=route,
        status=choosing.statuses(status) if status else None,
        failed=error,
        slower_ms=choosing.duration_ms("--slower", slower),
        since=choosing.moment("--since", since, now) if since else None,
        until=choosing.moment("--until", until, now) if until else None,
        service=service,
        text=text,
    )
    found = listing.collect(folder)
    summaries = wanted.chosen(found, sort, limit)
    if as_json:
        output.write_array(summary.as_json() for summary in summaries)
    elif (first := next(summaries, None)) is not None:
        lane_table.print_table(chain([first], summaries))
    elif found.rows:
        typer.echo(f"{output.one_line(folder)}: none of {len(found.rows)} is of that kind")
    elif not found.errors:
        typer.echo(f"{output.one_line(folder)}: nothing has been recorded here yet")
    for fault in found.errors:
        output.complain(fault)
    if found.errors:
        raise typer.Exit(2)


@app.command("show")
def _show(  # noqa: PLR0913, PLR0917 - each is an argument of the command line
    cassette: _Cassette = "latest",
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
    lane: _LaneId = None,
    call: Annotated[str | None, typer.Option(metavar="ID", help="Only this call, whole: how its id begins.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Everything, unshortened; also how things travelled.")] = False,
    strict: _Strict = False,
    curl: Annotated[bool, typer.Option("--curl", help="Print the request as a curl command, secrets in it.")] = False,
    httpie: Annotated[bool, typer.Option("--httpie", help="Likewise for HTTPie.")] = False,
    python: Annotated[bool, typer.Option("--python", help="Likewise as a Python program.")] = False,
    url: Annotated[str | None, typer.Option(help="Of these: where the app listens.", metavar="URL")] = None,
) -> None:
    """Show lanes: request, response, and a tree of decoded calls. Long payloads are shortened, but not with --json.

    How things travelled (lsid, $clusterTime, headers of the connection) is hidden, but not with --full. Files that
    cannot be read are left out and named on stderr; the exit status is then 2.
    """
    from timetracer_otel.cli import describing, showing  # noqa: PLC0415 - imports every integration, which list needs not

    left_out: list[CassetteError] = []
    bad = None if strict else left_out
    if forms := [name for name, wanted in (("curl", curl), ("httpie", httpie), ("python", python)) if wanted]:
        if len(forms) > 1 or as_json:
            raise ConfigError(f"--{forms[0]} goes with no other form: leave one out")
        _print_request(_lanes(cassette, lane, bad), cassette, forms[0], url)
        output.tell(left_out)
        return
    if url is not None:
        raise ConfigError("--url goes with --curl, --httpie or --python: add one")
    longest = None if as_json or full or call else showing.LONGEST
    files = finding.find([cassette], config.load().dir, left_out=bad)
    with progress.while_reading(files):
        described = describing.lanes(files, lane, bad, longest)
    if call is not None:
        span = describing.one_span(described, call)
        output.write_object(span) if as_json else showing.print_call(span)
    elif as_json:
        output.write_lanes(described.files, ((one.head, one.spans) for one in described.lanes))
    else:
        showing.print_lanes(described.lanes, full=full)
    output.tell(left_out)


def _print_request(lanes: list[Lane], cassette: str, form: str, url: str | None) -> None:
    from timetracer_otel.cli import requests  # noqa: PLC0415 - stands on the verification, which the others need not

    request = requests.the_request(lanes, cassette)
    typer.echo(requests.printed(request, requests.FORMS[form], url))
    for name, why in requests.hidden(request).items():
        output.complain(f"{name} is not known here: {why}")


def _lanes(cassette: str, lane: str | None, left_out: list[CassetteError] | None) -> list[Lane]:
    """Give the lanes that are meant by a place and an id, without the files that cannot be read."""
    from timetracer_otel.cassette.damaged import reading_on  # noqa: PLC0415 - the others need it not
    from timetracer_otel.cli import describing  # noqa: PLC0415 - imports every integration

    files = finding.find([cassette], config.load().dir, left_out=left_out)
    with progress.while_reading(files):
        found = reading_on(files, lambda whole, _without: loading.load_alone(whole), left_out)
        return describing.chosen(found, lane)


@app.command("send")
def _send(
    cassette: _Cassette = "latest",
    lane: _LaneId = None,
    url: Annotated[
        str | None,
        typer.Option(help="Where the app listens. Default: this machine, at the recorded port.", metavar="URL"),
    ] = None,
) -> None:
    """Send the recorded request to a running app, such as one that timetracer-replay runs, and print its response.

    Method, target, headers, cookies and body are as recorded, its secrets too when the key is here. The exit status is
    0 when there is a response, whatever it says; 2 when nobody answers.

    Files that cannot be read are left out and named on stderr; the exit status is then 2.
    """
    from timetracer_otel.cli import requests  # noqa: PLC0415 - stands on the verification, which the others need not

    left_out: list[CassetteError] = []
    request = requests.the_request(_lanes(cassette, lane, left_out), cassette)
    answer = requests.send(request, url)
    requests.print_answer(answer)
    for name, why in answer.hidden.items():
        output.complain(f"{name} was not sent as recorded: {why}")
    output.tell(left_out)


@app.command("search")
def _search(
    text: Annotated[str, typer.Argument(help="In any case of its letters.", metavar="TEXT")],
    cassettes: Annotated[
        list[str] | None,
        typer.Argument(help="Files, directories, globs, URLs. Default: TIMETRACER_DIR.", metavar="[CASSETTE…]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array, an object a place.")] = False,
) -> None:
    """Look for a text in requests, responses and the decoded calls. Exit status 1 when it is nowhere.

    Files that cannot be read are named on stderr, and the exit status is then 2.
    """
    from timetracer_otel.cli import searching  # noqa: PLC0415 - imports every integration, which list needs not

    if not text:
        raise ConfigError("there is no text to look for: give one")
    directory = config.load().dir
    left_out: list[CassetteError] = []
    files = finding.find(cassettes or [str(directory)], directory, left_out=left_out)
    places = searching.search(files, text, left_out)
    count = 0
    if as_json:
        found = list(places)
        count = len(found)
        output.write_array(one.as_json() for one in found)
    else:
        for count, place in enumerate(places, start=1):  # noqa: B007 - how many there were
            searching.print_found(place)
    output.tell(left_out)
    raise typer.Exit(0 if count else 1)


@app.command("stats")
def _stats(
    directory: Annotated[
        str | None,
        typer.Argument(help="A directory, one cassette, or a URL. Default: TIMETRACER_DIR.", metavar="[DIR]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array, an object a route.")] = False,
) -> None:
    """Sum up routes: how often, how long, how many calls, and calls that a lane repeats (N+1 suspects).

    Files that cannot be read are named on stderr, and the exit status is then 2.
    """
    from timetracer_otel.cli import statistics  # noqa: PLC0415 - the others need it not

    folder = _folder(directory)
    errors: list[CassetteError] = []
    routes = statistics.routes(listing.lanes(folder, errors))
    if as_json:
        output.write_array(route.as_json() for route in routes)
    elif routes:
        statistics.print_table(routes)
    else:
        typer.echo(f"{output.one_line(folder)}: no request has been recorded here yet")
    output.tell(errors)


@app.command("timeline")
def _timeline(
    cassette: _Cassette = "latest",
    lane: _LaneId = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE.html", help="Write a page, instead of printing.")
    ] = None,
) -> None:
    """Print when each span of a lane began and ended, as bars.

    Files that cannot be read are left out and named on stderr; the exit status is then 2.
    """
    from timetracer_otel.cli import describing, timeline  # noqa: PLC0415 - imports every integration

    left_out: list[CassetteError] = []
    files = finding.find([cassette], config.load().dir, left_out=left_out)
    with progress.while_reading(files):
        lanes = describing.describe(files, lane, left_out)["lanes"]
    if html is None:
        for one in lanes:
            timeline.print_timeline(one)
        output.tell(left_out)
        return
    if len(lanes) != 1:
        raise ConfigError(f"{cassette} holds {len(lanes)} lanes: give --lane ID, a page shows one")
    try:
        html.write_text(timeline.as_html(lanes[0]), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{html} cannot be written ({error.strerror}): name another file") from error
    output.tell(left_out)


@app.command("diff")
def _diff(
    first: Annotated[str, typer.Argument(help="A file, directory, glob, URL, or 'latest'.", metavar="A")],
    second: Annotated[str, typer.Argument(help="Likewise: another recording, or the trace of a replay.", metavar="B")],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
    slower: Annotated[
        str | None, typer.Option(help="Spans that took so much longer differ too: 50ms, 20%.", metavar="TIME|SHARE")
    ] = None,
    strict: _Strict = False,
) -> None:
    """Compare two recordings, request by request: responses and calls. Exit status 1 when they differ.

    Of requests that differ the spans stand side by side, with the time that each took in A and in B: "+" only B has it,
    "-" only A has it, "~" it asks something else, ">" it took longer.

    Files that cannot be read are left out and named on stderr; the exit status is then 2.
    """
    from timetracer_otel.cli import diffing, side_by_side  # noqa: PLC0415 - imports every integration

    is_slower = side_by_side.threshold(slower) if slower is not None else None
    directory = config.load().dir
    left_out: list[CassetteError] = []
    bad = None if strict else left_out
    one, other = (finding.find([place], directory, left_out=bad) for place in (first, second))
    with progress.while_reading([*one, *other]):
        diff = diffing.compare(one, other, bad, is_slower)
    differ = typer.Exit(0 if diff.equal else 1)
    try:
        output.write_object(diff.as_json()) if as_json else diffing.print_diff(diff)
    except (BrokenPipeError, SystemExit):  # the latter is Rich's, of a pipe that nobody reads any more
        raise differ from None
    output.tell(left_out)
    raise differ


@app.command("bundle")
def _bundle(
    cassettes: Annotated[
        list[str], typer.Argument(help="Files, directories, globs, URLs, or 'latest'.", metavar="CASSETTE…")
    ],
    file: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Compressed when it ends in .gz or .zst.")
    ],
    strict: _Strict = False,
) -> None:
    """Put cassettes and the sessions that they name into one file, to carry away.

    Files that cannot be read are left out and named on stderr; the exit status is then 2.
    """
    from timetracer_otel.cassette import bundle  # noqa: PLC0415 - the others need it not

    if file.is_dir():
        raise ConfigError(f"{file} is a directory: name a file, such as {file / 'bundle.jsonl'}")
    if not file.absolute().parent.is_dir():
        raise ConfigError(f"{file} cannot be written: there is no folder {file.parent}; make it, or name another")
    left_out: list[CassetteError] = []
    bad = None if strict else left_out
    files = finding.find(cassettes, config.load().dir, left_out=bad)
    with progress.while_reading(files):
        count = bundle.bundle(files, file, bad)
    typer.echo(f"{output.one_line(str(file))}: {count} {'file' if count == 1 else 'files'} bundled")
    output.tell(left_out)


@app.command("plugins")
def _plugins(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array, an object a library.")] = False,
) -> None:
    """List the libraries that are recorded and replayed, with their installed versions."""
    from timetracer_otel.cli import plugins  # noqa: PLC0415 - the others need it not
    from timetracer_otel.integrations import discover  # noqa: PLC0415 - imports every integration

    described = plugins.describe(discover().values())
    if as_json:
        output.write_array(described)
    else:
        plugins.print_table(described)


@app.command("import")
def _import(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Files, directories, globs, URLs; cassettes of timetracer 1.x and vcrpy too.", metavar="SOURCE…"
        ),
    ],
    to: Annotated[
        Path | None, typer.Option(help="The directory to write. Default: TIMETRACER_DIR.", metavar="DIR")
    ] = None,
) -> None:
    """Write a collector's files, traces of a backend, or cassettes of timetracer 1.x or vcrpy as a cassette directory.

    Of damaged files what is whole is taken; what is not is named on stderr, and the exit status is then 2.
    """
    from timetracer_otel.cassette import importing  # noqa: PLC0415 - converts, which the others need not
    from timetracer_otel.cli.importing import tell  # noqa: PLC0415 - as above
    from timetracer_otel.families.kinds import execution  # noqa: PLC0415 - as above
    from timetracer_otel.integrations import known_to_version1  # noqa: PLC0415 - imports every integration

    settings = config.load()
    directory = to or settings.dir
    libraries = known_to_version1()
    with progress.while_reading(list(map(Path, sources))):
        done = importing.import_all(
            sources, settings.dir, directory, settings.compression, libraries, execution.imported("pytest")
        )
    raise typer.Exit(tell(done, directory))


app.command("export")(keeping.export)
app.command("clean")(keeping.clean)
app.command("watch")(keeping.watch)
app.command("doctor")(keeping.doctor)
for _command in app.registered_commands:
    _command.epilog = examples.below(_command.name or "")


def _folder(directory: str | None) -> str:
    """The directory that was named, else that of the settings: a wrong setting is told in either case."""
    settings = config.load()
    return directory or str(settings.dir)


def run() -> None:
    """Run the console script. Errors of ours are one line on stderr and exit status 2; a closed pipe is no error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if sys.argv[2:] == ["--version"] and any(one.name == sys.argv[1] for one in app.registered_commands):
        del sys.argv[1]  # all commands have one version
    try:
        try:
            app(prog_name="timetracer")
        finally:
            sys.stdout.flush()
    except TimetracerError as error:
        output.complain(error)
        sys.exit(2)
    except (BrokenPipeError, SystemExit) as end:
        status = _of_left_pipe(end)
        if status is None:
            raise
        _leave_pipe(status)
    except OSError as error:  # of a file that was named, or of stdout: the disk is full
        output.complain(in_words(error))
        _leave_pipe(2)


def _of_left_pipe(end: BaseException) -> object:
    """Give the status of a command whose reader left, None where nobody did.

    Click and Rich end one that was still writing with 1; one that had ended by itself keeps its status.
    """
    before = end.__context__
    if isinstance(end, BrokenPipeError):
        return before.code if isinstance(before, SystemExit) else 0
    return 0 if isinstance(before, BrokenPipeError) else None


def _leave_pipe(status: object) -> None:
    """End without a word: the reader of our output, such as ``head``, has what it wanted."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError):  # stdout may be closed already
        os.dup2(nowhere, sys.stdout.fileno())
    sys.exit(status if isinstance(status, int) else 0)


if __name__ == "__main__":
    run()
