"""Images: whether the reference exists, for the platform, and every part of it is there.

The manifest is asked for by GET and HEAD with the access that was obtained; on Docker Hub, which counts GETs, HEAD
comes first, and where few pulls are left none is spent. An index's children are asked for by HEAD, those of the
wanted platforms are read. Of every blob the config is read (digest, platform, and what in it looks like a secret,
which is told by its place alone); a layer is asked for by HEAD, or for its last byte where HEAD is answered from
memory. Redirects are followed without the credentials, and each host that they lead to is looked at like the
registry itself. With ``--verify-blobs`` every layer is downloaded and digested, without being kept.

Names beside the wanted one are listed only where it is missing: tags and repositories through all their pages, the
same name below ``library/``, and, for a name without a host that Docker Hub does not give, whether its first part
is the name of a host here. With ``--config`` of a pull-through cache its upstream is asked as the cache asks it.
"""
