"""The ``timetracer`` command: look at cassettes."""
