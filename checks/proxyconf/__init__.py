"""Reverse proxy configuration.

The configuration of nginx, haproxy, Traefik or Caddy in front of the registry: body sizes, forwarded headers,
buffering and time-outs that break pushes.
"""
