"""Finds checks, orders their probes, runs them, judges the facts and names the root cause."""
