"""Reverse proxy configuration.

The configuration of nginx, haproxy, Traefik or Caddy in front of the registry (``--proxy-config FILE``, ``lint``):
body sizes, forwarded headers, buffering and time-outs that break pushes.

Files are read with what they include; a dump of ``nginx -T`` is taken apart, and places are those of the files.
Judged are the ways that the proxy would choose for the target's host and port; without a target, those that show
that they lead to a registry. With ``--push`` an upload that was tried confirms a finding, or shows that another
configuration is at work. What it does to methods and paths of uploads is told under push/*.
"""
