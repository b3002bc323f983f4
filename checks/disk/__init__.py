"""Disks.

Space, inodes, rights and mounts of the places that images pass through: the registry's storage, the client's
image store, and temporary directories of proxies and clients.
"""
