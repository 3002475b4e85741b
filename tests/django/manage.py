"""Django's command line for the project of the tests."""

from __future__ import annotations

import os
import sys

import project
from django.conf import settings
from django.core.management import execute_from_command_line

os.environ["DJANGO_SETTINGS_MODULE"] = "project"
settings.WSGI_APPLICATION = "project.wsgi"
assert project.wsgi is not None
execute_from_command_line(sys.argv)
