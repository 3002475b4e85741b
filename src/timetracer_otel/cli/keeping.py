"""Commands of ``timetracer`` that keep cassettes and hand them on: export, clean, watch, doctor."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from timetracer_otel import config
from timetracer_otel.cassette import finding
from timetracer_otel.cli import choosing, lane_table, output, progress
from timetracer_otel.cli.style import size as in_words
from timetracer_otel.errors import CassetteError, ConfigError

__all__ = ["clean", "doctor", "export", "watch"]


def export(
    form: Annotated[Literal["otlp", "har", "v1", "pytest"], typer.Argument(help="otlp, har, v1 or pytest.")],
    cassettes: Annotated[
        list[str] | None,
        typer.Argument(help="Files, directories, globs, URLs. Default: latest.", metavar="[CASSETTE…]"),
    ] = None,
    to: Annotated[
        str, typer.Option("--output", "-o", help="A file; of v1 a directory, of otlp an endpoint.", metavar="PLACE")
    ] = "",
    lane: Annotated[str | None, typer.Option("--lane", metavar="ID", help="Only this lane.")] = None,
    app: Annotated[str, typer.Option(help="Of pytest: the app. Default: as recorded.", metavar="MODULE:NAME")] = "",
) -> None:
    """Write cassettes in the form of another tool: an OTLP endpoint, a HAR file, timetracer 1.x, a pytest file.

    HAR and 1.x have no form for calls that are no HTTP: HAR is without them, 1.x says that there were. Secrets are
    placeholders, but not for otlp, which gets the cassettes as they are, and pytest, which needs them.

    Files that cannot be read are left out and named on stderr; the exit status is then 2.
    """
    from timetracer_otel.cli.export import writing  # noqa: PLC0415 - the other commands need it not

    if not to:
        raise ConfigError(f"export {form} has no place to write to: add {writing.HINTS[form]}")
    left_out: list[CassetteError] = []
    files = finding.find(cassettes or ["latest"], config.load().dir, left_out=left_out)
    with progress.while_reading(files):
        done = writing.export(form, files, to, lane, app, left_out)
    typer.echo(done)
    output.tell(left_out)


def clean(  # noqa: PLR0913, PLR0917 - each is an argument of the command line
    directory: Annotated[str | None, typer.Argument(help="Default: TIMETRACER_DIR.", metavar="[DIR]")] = None,
    older: Annotated[str, typer.Option(help="Those that began so long ago: 12h, 7d.", metavar="TIME")] = "",
    status: Annotated[str, typer.Option(help="Those of this status: 2xx, 404.", metavar="STATUS")] = "",
    route: Annotated[str, typer.Option(help="Those of this route: '/health'.", metavar="GLOB")] = "",
    keep: Annotated[str, typer.Option(help="The oldest, until so much stays: 500MB, 10GB.", metavar="SIZE")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Remove cassettes by age, status, route and size. With several, those that are all of it go, then by size.

    A file with several lanes goes when all of them are meant, a session when no lane that stays names it. What cannot
    be read stays; it is named on stderr, and the exit status is then 2.
    """
    from timetracer_otel.cli import cleaning  # noqa: PLC0415 - the other commands need it not

    if not (older or status or route or keep):
        raise ConfigError("clean what? add --older 7d, --status 2xx, --route '/health' or --keep 1GB")
    folder = Path(directory) if directory else config.load().dir
    wanted = choosing.Wanted(
        route=route,
        status=choosing.statuses(status) if status else None,
        until=choosing.moment("--older", older, datetime.now(UTC)) if older else None,
    )
    planned = cleaning.plan(folder, wanted, config.size("--keep", keep) if keep else None)
    if dry_run:
        for file in planned.files:
            typer.echo(output.one_line(str(file)))
    else:
        cleaning.carry_out(folder, progress.with_progress(planned.files, len(planned.files), "removing"))
    done = "would go" if dry_run else "removed"
    files = f"{len(planned.files)} file{'' if len(planned.files) == 1 else 's'}"
    typer.echo(f"{files}, {in_words(planned.size)} {done}; {planned.kept} stay")
    for error in planned.errors:
        output.complain(error)
    if planned.errors:
        raise typer.Exit(2)


def watch(
    directory: Annotated[str | None, typer.Argument(help="Default: TIMETRACER_DIR.", metavar="[DIR]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print an object a line.")] = False,
) -> None:
    """Print each lane as it is recorded, until Ctrl-C."""
    from timetracer_otel.cli import watching  # noqa: PLC0415 - the other commands need it not

    folder = Path(directory) if directory else config.load().dir
    with suppress(KeyboardInterrupt):
        for number, summary in enumerate(watching.news(folder)):
            if as_json:
                output.write_line(summary.as_json())
            else:
                lane_table.print_table([summary], has_header=not number)
            output.flush()


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array, an object a finding.")] = False,
    no_self_test: Annotated[bool, typer.Option("--no-self-test", help="Without recording a program.")] = False,
    vscode: Annotated[
        bool, typer.Option("--vscode", help="Print a launch.json that attaches to timetracer-replay --debug dap.")
    ] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of --debug dap:PORT.", metavar="PORT")] = 5678,
) -> None:
    """Look at what is installed and active, and whether a recording replays. Exit status 1 when something is wrong."""
    if vscode:
        from timetracer_otel.debugging.launch_json import launch_json  # noqa: PLC0415 - only this needs it

        typer.echo(launch_json(port))
        return
    from timetracer_otel.cli import doctor as examination  # noqa: PLC0415 - imports every library

    findings = examination.examine(self_test=not no_self_test)
    if as_json:
        found = list(findings)
        output.write_array(one.as_json() for one in found)
        good = all(one.state != "error" for one in found)
    else:
        good = examination.print_findings(findings)
    raise typer.Exit(0 if good else 1)
