"""HTTP, as clients send and receive it."""
