"""Forward proxies: which one clients with this environment use for a host, and whether it serves that host.

Clients written in Go (docker, containerd, podman, skopeo, the kubelet) take the proxy from ``HTTPS_PROXY``,
``HTTP_PROXY`` and ``NO_PROXY`` by rules of their own. For https they ask it for a tunnel with CONNECT, for http
they send it the request itself. What the proxy answers is told apart from what the registry answers; where the
proxy does not serve the host, the direct way is tried beside it. Daemons have settings of their own, which are
compared with the caller's.
"""
