"""``python -m timetracer_otel`` is the ``timetracer`` command."""

from timetracer_otel.commands import timetracer

if __name__ == "__main__":
    timetracer()
