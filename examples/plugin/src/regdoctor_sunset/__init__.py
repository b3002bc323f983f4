"""Sunset: does the registry announce that it will be switched off (RFC 8594)?"""
