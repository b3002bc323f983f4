"""Sunset: whether the registry announces that it will be switched off (RFC 8594)."""
