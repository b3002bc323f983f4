"""Forward proxy.

The HTTP(S) proxy that the environment sets for this host: whether it answers, serves this destination, is
bypassed where it should be, and is the same for the shell and the container daemon.
"""
