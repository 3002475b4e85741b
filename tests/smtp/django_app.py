"""A Django app that sends mails, to users and to its admins."""

from __future__ import annotations

import os

import django
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, mail_admins
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

_host, _, _port = os.environ["SMTP"].partition(":")
settings.configure(
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="not one",
    ROOT_URLCONF=__name__,
    ADMINS=[("Anna", "anna@example.com")],
    EMAIL_HOST=_host,
    EMAIL_PORT=int(_port),
    EMAIL_TIMEOUT=5,
)
django.setup()


def welcome(request: HttpRequest) -> HttpResponse:
    """Send a mail in text and HTML."""
    mail = EmailMultiAlternatives(os.environ.get("SUBJECT", "Welcome"), "Grüße", to=[request.GET["to"]])
    mail.attach_alternative("<p>Grüße</p>", "text/html")
    return HttpResponse(str(mail.send()))


def report(_request: HttpRequest) -> HttpResponse:
    """Tell the admins."""
    mail_admins("Trouble", "There is some.", html_message="<p>There is some.</p>")
    return HttpResponse("told")


urlpatterns = [path("welcome", welcome), path("report", report)]
application = get_wsgi_application()
