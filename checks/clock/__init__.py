"""Clocks: whether this host and the registry agree about the time, and who is wrong where they do not.

A certificate or a token is judged by a clock. Where the clock is wrong, good certificates look expired or not
yet valid and fresh tokens look stale, so every message names the certificate or the password and none the
clock.

``DateReadings`` compares this host's clock with the ``Date`` header of every host that answered; that costs
nothing, and is good to a second. It cannot say which of the two is wrong. ``NtpReadings`` can: the servers
given with ``--ntp-server`` are asked, or else those that the running time daemon asks. A container without a
daemon asks none, unless a ``Date`` is off and some configuration file names servers to decide by.
``TimeDaemons`` says what keeps the clock right.

Every offset has an uncertainty, half the round trip at least; a slow link makes no skew. A tolerance of 60
seconds is what the CNCF registry allows tokens (distribution ``registry/auth/token``, leeway).
"""
