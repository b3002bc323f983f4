"""DNS: how this host turns a name on the way into addresses, and who is to blame where it does not.

docker, containerd and podman take what the system's resolver gives: the hosts file, then the nameservers of
``/etc/resolv.conf`` in turn, each name completed by the search list. One message (``no such host``, ``i/o
timeout``, ``server misbehaving``) stands for many causes, and the port in it is often 53.

``Addresses`` is that answer, by ``getaddrinfo``; with ``--resolver`` it is what the given nameservers would
make of it. ``NameserverAnswers`` asks every nameserver by itself, A and AAAA apart, by TCP too where an
answer is cut off, without DNSSEC validation where one fails, and asks for the names that the search list
makes of the host together with a random one, which only a wildcard record answers. Nobody waits for it where
the hosts file settles the name. ``OtherAddresses`` tries what a nameserver gives and clients here do not use:
a line of the hosts file, a stale record or a captured name is a fault only where what is wanted answers
elsewhere and not here.

What costs clients nothing is no finding: a second nameserver that is dead, one that refuses at once, a name
that DNS does not know and the hosts file does, pools whose members take turns. Hosts behind a forward proxy
are looked up by the proxy.
"""
