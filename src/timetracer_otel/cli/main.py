"""The ``timetracer`` command line."""

from __future__ import annotations

import gc
import io
import sys
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import get_args

import click
from click.exceptions import Exit

from timetracer_otel import __version__, config, usage
from timetracer_otel.cassette import finding, loading
from timetracer_otel.cassette.model import Lane
from timetracer_otel.cli import choosing, completion, examples, keeping, lane_table, listing, output, progress
from timetracer_otel.errors import CassetteError, ConfigError, TimetracerError, in_words
from timetracer_otel.usage import FILE, PLACE, Commands, argument

__all__ = ["app", "run"]

_strict = click.option("--strict", is_flag=True, help="Stop at a file that cannot be read, instead of leaving it out.")
_cassette = argument(
    "cassette",
    metavar="[CASSETTE]",
    type=PLACE,
    default="latest",
    meaning="A file, directory, glob, URL; by default the latest.",
)
_directory = argument(
    "directory",
    metavar="[DIR]",
    type=PLACE,
    required=False,
    meaning="A directory, one cassette, or a URL. Default: TIMETRACER_DIR.",
)
_lane = click.option("--lane", metavar="ID", help="Only this lane or session: its id, trace id, or how one begins.")


@click.group(cls=Commands, context_settings={"help_option_names": ["--help", "-h"]})
@click.version_option(
    __version__, prog_name="timetracer-otel", message="%(prog)s %(version)s", help="Print the version."
)
@click.option(
    "--install-completion",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=completion.install,
    help="Install completion for the current shell.",
)
@click.option(
    "--show-completion",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=completion.show,
    help="Show completion for the current shell, to copy it or customize the installation.",
)
def app() -> None:
    """Look at cassettes: recorded requests and the calls that they made."""


@app.command("list")
@_directory
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, an object a lane.")
@click.option("--route", metavar="GLOB", default="", help="Only these: '/orders/*', 'POST /login'.")
@click.option("--status", metavar="STATUS", default="", help="Only these: 404, 5xx, 400-499.")
@click.option("--error", is_flag=True, help="Only what failed.")
@click.option("--slower", metavar="TIME", default="0ms", show_default=True, help="Only what took as long: 250ms, 1.5s.")
@click.option("--since", metavar="TIME", default="", help="Only what began after: 30m, 2026-11-21T14:00.")
@click.option("--until", metavar="TIME", default="", help="Only what began before.")
@click.option("--service", metavar="NAME", default="", help="Only of this service.name.")
@click.option("--text", metavar="TEXT", default="", help="Only what holds this text, payloads included.")
@click.option(
    "--sort",
    type=click.Choice(get_args(choosing.Sort)),
    default="newest",
    show_default=True,
    help="What comes first.",
)
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="How many at most.")
def _list(  # noqa: PLR0913 - each is an argument of the command line
    *,
    directory: str | None,
    as_json: bool,
    route: str,
    status: str,
    error: bool,
    slower: str,
    since: str,
    until: str,
    service: str,
    text: str,
    sort: choosing.Sort,
    limit: int | None,
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
        click.echo(f"{output.one_line(folder)}: none of {len(found.rows)} is of that kind")
    elif not found.errors:
        click.echo(f"{output.one_line(folder)}: nothing has been recorded here yet")
    for fault in found.errors:
        output.complain(fault)
    if found.errors:
        raise Exit(2)


@app.command("show")
@_cassette
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
@_lane
@click.option("--call", metavar="ID", help="Only this call, whole: how its id begins.")
@click.option("--full", is_flag=True, help="Everything, unshortened; also how things travelled.")
@_strict
@click.option("--curl", is_flag=True, help="Print the request as a curl command, secrets in it.")
@click.option("--httpie", is_flag=True, help="Likewise for HTTPie.")
@click.option("--python", is_flag=True, help="Likewise as a Python program.")
@click.option("--url", metavar="URL", help="Of these: where the app listens.")
def _show(  # noqa: PLR0913 - each is an argument of the command line
    *,
    cassette: str,
    as_json: bool,
    lane: str | None,
    call: str | None,
    full: bool,
    strict: bool,
    curl: bool,
    httpie: bool,
    python: bool,
    url: str | None,
) -> None:
    """Show lanes: request, response, and a tree of decoded calls. Long payloads are shortened, but not with --json.

    How things travelled (lsid, $clusterTime, headers of the connection) is hidden, but not with --full. Files that
    cannot be read are left out and named on stderr; the exit status is then 2.
    """
    from timetracer_otel.cli import describing, showing  # noqa: PLC0415 - imports integrations, which list needs not

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
    click.echo(requests.printed(request, requests.FORMS[form], url))
    for name, why in requests.hidden(request).items():
        output.complain(f"{name} is not known here: {why}")


def _lanes(cassette: str, lane: str | None, left_out: list[CassetteError] | None) -> list[Lane]:
    """Give the lanes that are meant by a place and an id, without the files that cannot be read."""
    from timetracer_otel.cassette.damaged import reading_on  # noqa: PLC0415 - the others need it not
    from timetracer_otel.cli import describing  # noqa: PLC0415 - as above

    files = finding.find([cassette], config.load().dir, left_out=left_out)
    with progress.while_reading(files):
        found = reading_on(files, lambda whole, _without: loading.load_alone(whole), left_out)
        return describing.chosen(found, lane)


@app.command("send")
@_cassette
@_lane
@click.option("--url", metavar="URL", help="Where the app listens. Default: this machine, at the recorded port.")
def _send(*, cassette: str, lane: str | None, url: str | None) -> None:
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
@argument("text", metavar="TEXT", meaning="In any case of its letters.")
@argument(
    "cassettes",
    metavar="[CASSETTE…]",
    nargs=-1,
    type=PLACE,
    meaning="Files, directories, globs, URLs. Default: TIMETRACER_DIR.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, an object a place.")
def _search(*, text: str, cassettes: tuple[str, ...], as_json: bool) -> None:
    """Look for a text in requests, responses and the decoded calls. Exit status 1 when it is nowhere.

    Files that cannot be read are named on stderr, and the exit status is then 2.
    """
    from timetracer_otel.cli import searching  # noqa: PLC0415 - imports integrations, which list needs not

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
    raise Exit(0 if count else 1)


@app.command("stats")
@_directory
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, an object a route.")
def _stats(*, directory: str | None, as_json: bool) -> None:
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
        click.echo(f"{output.one_line(folder)}: no request has been recorded here yet")
    output.tell(errors)


@app.command("timeline")
@_cassette
@_lane
@click.option("--html", metavar="FILE.html", type=FILE, help="Write a page, instead of printing.")
def _timeline(*, cassette: str, lane: str | None, html: Path | None) -> None:
    """Print when each span of a lane began and ended, as bars.

    Files that cannot be read are left out and named on stderr; the exit status is then 2.
    """
    from timetracer_otel.cli import describing, timeline  # noqa: PLC0415 - as above

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
@argument("first", metavar="A", type=PLACE, meaning="A file, directory, glob, URL, or 'latest'.")
@argument("second", metavar="B", type=PLACE, meaning="Likewise: another recording, or the trace of a replay.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
@click.option("--slower", metavar="TIME|SHARE", help="Spans that took so much longer differ too: 50ms, 20%.")
@_strict
def _diff(*, first: str, second: str, as_json: bool, slower: str | None, strict: bool) -> None:
    """Compare two recordings, request by request: responses and calls. Exit status 1 when they differ.

    Of requests that differ the spans stand side by side, with the time that each took in A and in B: "+" only B has it,
    "-" only A has it, "~" it asks something else, ">" it took longer.

    Files that cannot be read are left out and named on stderr; the exit status is then 2.
    """
    from timetracer_otel.cli import diffing, side_by_side  # noqa: PLC0415 - as above

    is_slower = side_by_side.threshold(slower) if slower is not None else None
    directory = config.load().dir
    left_out: list[CassetteError] = []
    bad = None if strict else left_out
    one, other = (finding.find([place], directory, left_out=bad) for place in (first, second))
    with progress.while_reading([*one, *other]):
        diff = diffing.compare(one, other, bad, is_slower)
    differ = Exit(0 if diff.equal else 1)
    try:
        output.write_object(diff.as_json()) if as_json else diffing.print_diff(diff)
    except (BrokenPipeError, SystemExit):  # the latter is Rich's, of a pipe that nobody reads any more
        raise differ from None
    output.tell(left_out)
    raise differ


@app.command("bundle")
@argument(
    "cassettes",
    metavar="CASSETTE…",
    nargs=-1,
    required=True,
    type=PLACE,
    meaning="Files, directories, globs, URLs, or 'latest'.",
)
@click.option(
    "--output",
    "-o",
    "file",
    metavar="FILE",
    type=FILE,
    required=True,
    help="Compressed when it ends in .gz or .zst.",
)
@_strict
def _bundle(*, cassettes: tuple[str, ...], file: Path, strict: bool) -> None:
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
    click.echo(f"{output.one_line(str(file))}: {count} {'file' if count == 1 else 'files'} bundled")
    output.tell(left_out)


@app.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, an object a library.")
def _plugins(*, as_json: bool) -> None:
    """List the libraries that are recorded and replayed, with their installed versions."""
    from timetracer_otel.cli import plugins  # noqa: PLC0415 - the others need it not
    from timetracer_otel.integrations import discover  # noqa: PLC0415 - imports every integration

    described = plugins.describe(discover().values())
    if as_json:
        output.write_array(described)
    else:
        plugins.print_table(described)


@app.command("import")
@argument(
    "sources",
    metavar="SOURCE…",
    nargs=-1,
    required=True,
    type=PLACE,
    meaning="Files, directories, globs, URLs; cassettes of timetracer 1.x and vcrpy too.",
)
@click.option("--to", metavar="DIR", type=FILE, help="The directory to write. Default: TIMETRACER_DIR.")
def _import(*, sources: tuple[str, ...], to: Path | None) -> None:
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
    raise Exit(tell(done, directory))


for _kept in (keeping.export, keeping.clean, keeping.watch, keeping.doctor):
    app.add_command(_kept)
for _name, _command in app.commands.items():
    _command.epilog = examples.below(_name)


def _folder(directory: str | None) -> str:
    """The directory that was named, else that of the settings: a wrong setting is told in either case."""
    settings = config.load()
    return directory or str(settings.dir)


def run() -> None:
    """Run the console script. Errors of ours are one line on stderr and exit status 2; a closed pipe is no error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if sys.argv[2:] == ["--version"] and sys.argv[1] in app.commands:
        del sys.argv[1]  # all commands have one version
    try:
        try:
            completion.answer(app)
            usage.run(app, "timetracer", sys.argv[1:])
        finally:
            sys.stdout.flush()
    except TimetracerError as error:
        output.complain(error)
        sys.exit(2)
    except (BrokenPipeError, SystemExit) as end:
        status = _of_left_pipe(end)
        if status is None:
            raise
        usage.leave_pipe(status)
    except OSError as error:  # of a file that was named, or of stdout: the disk is full
        output.complain(in_words(error))
        usage.leave_pipe(2)


def _of_left_pipe(end: BaseException) -> object:
    """Give the status of a command whose reader left, None where nobody did.

    Rich ends one that was still writing with 1; one that had ended by itself keeps its status.
    """
    before = end.__context__
    if isinstance(end, BrokenPipeError):
        return before.code if isinstance(before, SystemExit) else 0
    return 0 if isinstance(before, BrokenPipeError) else None


if __name__ == "__main__":
    run()
