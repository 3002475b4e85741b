"""Shapes that several libraries share: what a WSGI or ASGI entry is, and more as libraries come."""
