"""DNS: how this host turns a name on the way into addresses.

``Addresses`` is what ``getaddrinfo`` gives, the answer that clients really use.
"""
