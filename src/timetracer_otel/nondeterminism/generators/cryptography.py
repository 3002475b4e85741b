"""cryptography: keys for authenticated encryption, which OpenSSL draws."""

from __future__ import annotations

from timetracer_otel.seams import Generator

__all__ = ["GENERATORS"]

_MODULE = "cryptography.hazmat.primitives.ciphers.aead"
_CIPHERS = ("AESCCM", "AESGCM", "AESGCMSIV", "AESOCB3", "AESSIV", "ChaCha20Poly1305")

GENERATORS = tuple(Generator(_MODULE, f"{cipher}.generate_key", "secrets") for cipher in _CIPHERS)
