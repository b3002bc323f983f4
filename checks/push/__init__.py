"""Pushes: how far an upload comes, who stands in its way, and why. Everything here needs ``--push``.

Pulls say nothing about pushes: ``/v2/`` is answered well by a read-only registry, a full disk, a cache, and
behind proxies that lose the scheme, forbid PATCH or allow 1 MB. So an upload is made as docker makes it:

``UploadSession``  POST, three looks at the status, PATCH with a chunked body, PUT, HEAD, GET and DELETE of a blob
    of a few bytes. Each step of the session goes over a connection of its own, so that behind a balancer it
    may reach another replica. A ``Location`` with another scheme, host or port is looked at without
    credentials, and a second POST names scheme and host in X-Forwarded headers: where that comes out right,
    the proxy in front is at fault, else ``http.host`` or a proxy that overwrites the headers.
``UploadSizes``  sizes up to 10 GiB are only announced, in requests whose body never follows: a hop that judges by
    ``Content-Length`` answers the header alone. Then 1.5 and 6 MB are sent, for hops that count.
``SlowUploads``  two uploads side by side for ``--push-seconds``, of which one pauses. A timer on the whole request
    ends both at one second, one for silence only the second. Eight seconds find short timers only; for the
    usual minute: ``--push-seconds 70 --deadline 120``.
``ManifestPush``  the image's own manifest put again under its own tag, which changes nothing and is refused where
    tags are immutable or a policy or quota stands against it; with ``--push-tag`` a tiny image under a tag that
    is free.

What stays behind is in ``PushRemains``. Uploads are cancelled on every way out, Ctrl-C and the deadline included;
distribution wants the action ``delete`` for that, for which a token of its own is asked, and where it is not
granted nothing large is sent. After a PATCH that broke off, distribution 2.8 accepts no request about the upload
any more, and removes it after a week. Of cancelled uploads it keeps a file of some 100 bytes. The blob is the
same on every run of a machine, so that blobs never add up; DELETE removes its link where deletion is on, and
garbage collection the bytes.

A registry that was named without a repository gets ``regdoctor/probe-`` and eight digits that stand for this
machine: no request of the API removes a repository, so a new one every time would fill the catalogue.
Distribution creates it on the first upload. Harbor and GitLab want a project first, Amazon ECR and Google Artifact
Registry the repository, Docker Hub an account's own name: they refuse, and a repository must be named.
"""
