"""A Django project in one file: settings, views and handlers; on a database file that ``NOTES`` names."""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import django
from django.conf import settings

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ.get("NOTES", ":memory:")}},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
        MIDDLEWARE=[
            *filter(None, [os.environ.get("FIRST_MIDDLEWARE")]),
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.middleware.gzip.GZipMiddleware",
        ],
        REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": [], "DEFAULT_PERMISSION_CLASSES": []},
        ROOT_URLCONF=__name__,
        SECRET_KEY="of the tests",
        USE_TZ=True,
    )
    django.setup()

from django.contrib.auth import authenticate, login
from django.contrib.auth.models import User
from django.core.asgi import get_asgi_application
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import IntegrityError, connection, models, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from rest_framework.decorators import api_view
from rest_framework.response import Response

LIMIT = int(os.environ.get("LIMIT", "100"))


class Note(models.Model):
    """A note of a member."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    text = models.CharField(max_length=50, unique=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """Its tables have this prefix."""

        app_label = "notes"

    def __str__(self) -> str:
        return self.text


@csrf_exempt
def join(request: HttpRequest) -> HttpResponse:
    """Make a member: a salt, a hash, a session key, a token are drawn."""
    member = User.objects.create_user(request.POST["name"], password=request.POST["password"])
    login(request, member)
    return JsonResponse({"id": member.pk, "token": get_token(request)})


@csrf_exempt
def enter(request: HttpRequest) -> HttpResponse:
    """Log in."""
    member = authenticate(request, username=request.POST["name"], password=request.POST["password"])
    if member is None:
        return HttpResponse(status=403)
    login(request, member)
    return HttpResponse(member.get_username())


def write(request: HttpRequest) -> HttpResponse:
    """Write a note in a transaction, which a second one of that text rolls back; the token must be right."""
    try:
        with transaction.atomic():
            note = Note.objects.create(text=request.POST["text"])
    except IntegrityError as error:
        return HttpResponse(str(error), status=409)
    return JsonResponse({"id": str(note.id), "at": note.at.isoformat(), "by": request.user.get_username()})


def notes(_request: HttpRequest) -> StreamingHttpResponse:
    """Stream the notes: the database is asked while the response passes."""

    def lines() -> Iterator[str]:
        for note in Note.objects.order_by("text")[:LIMIT].iterator(chunk_size=1):
            yield f"{note.id} {note.text}\n"

    return StreamingHttpResponse(lines())


async def later(_request: HttpRequest) -> HttpResponseBase:
    """Stream them from an async view, after asking twice at once."""
    counts = await asyncio.gather(Note.objects.acount(), User.objects.acount())

    async def lines() -> AsyncIterator[str]:
        yield f"{counts}\n"
        async for note in Note.objects.order_by("text"):
            yield f"{note.id}\n"

    return StreamingHttpResponse(lines())


def threaded(_request: HttpRequest) -> HttpResponse:
    """Ask in a thread."""
    counts: list[int] = []

    def ask() -> None:
        counts.append(Note.objects.count())
        connection.close()

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return JsonResponse({"counts": counts})


@api_view(["GET", "POST"])
def rest(request: Any) -> Response:
    """A view of Django REST framework."""
    return Response({"data": request.data, "count": Note.objects.count()})


def fail(_request: HttpRequest) -> HttpResponse:
    """Raise."""
    raise ZeroDivisionError("of the app")


@csrf_exempt
def digest(request: HttpRequest) -> HttpResponse:
    """Give the length of the body, read as it is."""
    return HttpResponse(str(len(request.body)))


urlpatterns = [
    path("join", join),
    path("enter", enter),
    path("write", write),
    path("notes", notes),
    path("later", later),
    path("threaded", threaded),
    path("rest", rest),
    path("fail", fail),
    path("digest", digest),
]


def ready() -> None:
    """Make the tables."""
    call_command("migrate", verbosity=0)
    if Note._meta.db_table not in connection.introspection.table_names():
        with connection.schema_editor() as editor:
            editor.create_model(Note)


if os.environ.get("NOTES"):
    ready()
wsgi = get_wsgi_application()
asgi = get_asgi_application()
