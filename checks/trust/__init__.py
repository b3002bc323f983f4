"""Trust folders: the certs.d folders of docker, podman and containerd for one registry.

The ending of a file's name decides what clients take it for, and the folder's name must be exactly the
``host[:port]`` of the image reference. Rules say where a file that would help cannot, and where one makes
clients refuse the registry altogether.
"""
