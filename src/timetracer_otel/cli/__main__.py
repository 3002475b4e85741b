"""``python -m timetracer_otel.cli`` is the ``timetracer`` command."""

from timetracer_otel.cli.main import run

if __name__ == "__main__":
    run()
