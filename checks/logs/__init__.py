"""Logs.

Logs of the registry, the proxy in front and the client's daemon: lines with a known cause are reported under
that cause, harmless ones are set aside.
"""
