"""What a request that enters a process is: WSGI and ASGI."""
