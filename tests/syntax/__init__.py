"""Readers of JSON and TOML that keep the place of every value."""
