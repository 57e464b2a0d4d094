"""Strategies: pure functions from what is known to what is decided. No I/O, no clock; pydantic for their settings."""
