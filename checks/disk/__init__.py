"""Disks.

Space, inodes, rights and mounts of the places that images pass through: the registry's storage, the client's
image store, and temporary directories.

The registry's storage is looked at where the caller names it (``--storage``, or ``--config`` whose
``storage.filesystem.rootdirectory`` is in use here); this host's own image stores and temporary folders with
``--profile host`` or ``all``. A configuration alone proves nothing about this host: it may be meant for a
container. So its folder counts where a registry that runs here was started with it, or the caller says by the
profile that this is the registry's host.

``DiskUsage`` sees a folder as the registry process does that writes to it, where one is found: with its user,
its capabilities and its own mounts. ``UnfinishedUploads`` lists what lies below ``_uploads``.
"""
