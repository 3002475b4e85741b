"""The shop for servers of WSGI. It makes its tables when it starts."""

import os

from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
application = get_wsgi_application()
call_command("migrate", verbosity=0)
