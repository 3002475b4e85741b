"""Requests that enter a process: WSGI and ASGI."""
