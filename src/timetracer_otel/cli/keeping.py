"""Commands of ``timetracer`` that keep cassettes and hand them on: export, clean, watch, doctor."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import click
from click.exceptions import Exit

from timetracer_otel import config
from timetracer_otel.cassette import finding
from timetracer_otel.cli import choosing, lane_table, output, progress
from timetracer_otel.cli.style import size as in_words
from timetracer_otel.errors import CassetteError, ConfigError
from timetracer_otel.usage import PLACE, Command, argument

__all__ = ["clean", "doctor", "export", "watch"]


@click.command("export", cls=Command)
@argument(
    "form", metavar="FORM", type=click.Choice(["otlp", "har", "v1", "pytest"]), meaning="otlp, har, v1 or pytest."
)
@argument(
    "cassettes",
    metavar="[CASSETTE…]",
    nargs=-1,
    type=PLACE,
    meaning="Files, directories, globs, URLs. Default: latest.",
)
@click.option(
    "--output",
    "-o",
    "to",
    metavar="PLACE",
    type=PLACE,
    default="",
    help="A file; of v1 a directory, of otlp an endpoint.",
)
@click.option("--lane", metavar="ID", help="Only this lane.")
@click.option("--app", metavar="MODULE:NAME", default="", help="Of pytest: the app. Default: as recorded.")
def export(*, form: str, cassettes: tuple[str, ...], to: str, lane: str | None, app: str) -> None:
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
    click.echo(done)
    output.tell(left_out)


@click.command("clean", cls=Command)
@argument("directory", metavar="[DIR]", type=PLACE, required=False, meaning="Default: TIMETRACER_DIR.")
@click.option("--older", metavar="TIME", default="", help="Those that began so long ago: 12h, 7d.")
@click.option("--status", metavar="STATUS", default="", help="Those of this status: 2xx, 404.")
@click.option("--route", metavar="GLOB", default="", help="Those of this route: '/health'.")
@click.option("--keep", metavar="SIZE", default="", help="The oldest, until so much stays: 500MB, 10GB.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
def clean(  # noqa: PLR0913 - each is an argument of the command line
    *, directory: str | None, older: str, status: str, route: str, keep: str, dry_run: bool
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
            click.echo(output.one_line(str(file)))
    else:
        cleaning.carry_out(folder, progress.with_progress(planned.files, len(planned.files), "removing"))
    done = "would go" if dry_run else "removed"
    files = f"{len(planned.files)} file{'' if len(planned.files) == 1 else 's'}"
    click.echo(f"{files}, {in_words(planned.size)} {done}; {planned.kept} stay")
    for error in planned.errors:
        output.complain(error)
    if planned.errors:
        raise Exit(2)


@click.command("watch", cls=Command)
@argument("directory", metavar="[DIR]", type=PLACE, required=False, meaning="Default: TIMETRACER_DIR.")
@click.option("--json", "as_json", is_flag=True, help="Print an object a line.")
def watch(*, directory: str | None, as_json: bool) -> None:
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


@click.command("doctor", cls=Command)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, an object a finding.")
@click.option("--no-self-test", is_flag=True, help="Without recording a program.")
@click.option("--vscode", is_flag=True, help="Print a launch.json that attaches to timetracer-replay --debug dap.")
@click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(1, 65535),
    default=5678,
    show_default=True,
    help="Of --debug dap:PORT.",
)
def doctor(*, as_json: bool, no_self_test: bool, vscode: bool, port: int) -> None:
    """Look at what is installed and active, and whether a recording replays. Exit status 1 when something is wrong."""
    if vscode:
        from timetracer_otel.debugging.launch_json import launch_json  # noqa: PLC0415 - only this needs it

        click.echo(launch_json(port))
        return
    from timetracer_otel.cli import doctor as examination  # noqa: PLC0415 - imports every library

    findings = examination.examine(self_test=not no_self_test)
    if as_json:
        found = list(findings)
        output.write_array(one.as_json() for one in found)
        good = all(one.state != "error" for one in found)
    else:
        good = examination.print_findings(findings)
    raise Exit(0 if good else 1)
