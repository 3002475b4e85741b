"""What ``opentelemetry-instrument`` does where no OTLP exporter is installed."""

from __future__ import annotations

import pytest

from timetracer_otel import environment

COMMAND = ["opentelemetry-instrument", "python", "app.py"]
RECORDING = ["opentelemetry-instrument", "--traces_exporter", "timetracer", "python", "app.py"]
SENDING = ["opentelemetry-instrument", "--traces_exporter", "otlp", "python", "app.py"]


@pytest.fixture(autouse=True)
def _no_otlp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its entry points are not there."""
    monkeypatch.setattr(environment, "_has_otlp", lambda: False)


def defaults(argv: list[str], **environ: str) -> dict[str, str]:
    """The exporters that the program gets."""
    environ["PYTHONHASHSEED"] = "1"
    environment.set_defaults(environ, argv)
    return {name: value for name, value in environ.items() if name.startswith("OTEL_")}


def test_unasked_nothing_leaves(capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise OpenTelemetry sets nothing up, with a traceback; one line says that nothing is recorded."""
    everything = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    assert defaults(COMMAND) == everything
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("timetracer: nothing is recorded: add --traces_exporter timetracer")
    assert line.endswith("pip install 'timetracer-otel[otlp]'")


def test_a_mode_that_is_given_needs_no_word(capsys: pytest.CaptureFixture[str]) -> None:
    """A recording of files goes without any exporter; a program that is off was switched off."""
    for mode in ("record", "off"):
        assert defaults(COMMAND, TIMETRACER_MODE=mode)["OTEL_TRACES_EXPORTER"] == "none"
    assert capsys.readouterr().err == ""


def test_cassettes_are_recorded_even_with_an_endpoint(capsys: pytest.CaptureFixture[str]) -> None:
    """Metrics and logs, which would go there, are left out."""
    found = defaults(RECORDING, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318")
    assert found["OTEL_METRICS_EXPORTER"] == found["OTEL_LOGS_EXPORTER"] == "none"
    assert "OTEL_TRACES_EXPORTER" not in found
    assert capsys.readouterr().err == ""


def test_what_was_asked_for_by_name_is_said_to_lack(capsys: pytest.CaptureFixture[str]) -> None:
    """By option or by variable, which stay as they are."""
    assert "OTEL_TRACES_EXPORTER" not in defaults(SENDING)
    assert defaults(COMMAND, OTEL_TRACES_EXPORTER="otlp,timetracer")["OTEL_TRACES_EXPORTER"] == "otlp,timetracer"
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(",")[0] for line in lines] == [
        "timetracer: OTEL_TRACES_EXPORTER is otlp",
        "timetracer: OTEL_TRACES_EXPORTER is otlp",
    ]
    assert all("pip install 'timetracer-otel[otlp]'" in line for line in lines)
