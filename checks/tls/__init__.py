"""TLS: what each host on the way serves, and whether docker, podman and containerd would accept it.

A host is shaken hands with at every address, in a way that goes on whatever the certificate is, so that one
handshake shows everything: protocol, whole chain, names, a request for a client certificate. The chain is
then verified with the authorities of each client on this host. Rules judge as Go's clients do: only subject
alternative names count, missing intermediates are not fetched, and every certificate of the path must be
valid today.
"""
