"""Making what is now the new recording: ``timetracer-replay --verify … --accept``."""
