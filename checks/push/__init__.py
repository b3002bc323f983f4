"""Pushes.

What happens to an upload on its way: the session, the Location that the registry hands out, methods and sizes
that hops let through, the commit, and refusals by policy.
"""
