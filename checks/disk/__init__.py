"""Disks.

Space, inodes, rights and mounts of the places that images pass through: the registry's storage, the client's
image store, and temporary directories.

The registry's storage is looked at where the caller names it (``--storage``, or ``--config`` whose
``storage.filesystem.rootdirectory`` is in use here); this host's own image stores and temporary folders with
``--profile host`` or ``all``, as daemon.json, containerd's config.toml, storage.conf, containers.conf and the
daemons' own options name them. An nginx that runs here is looked at where ``--proxy-config`` names its
configuration, or by profile where it listens on the target's port: its folder for bodies of requests has to be
there, writable for its workers, and not full. Less than ``--min-free`` percent of bytes or inodes is little; an
upload that nobody goes on with for ``--upload-age`` days is abandoned, or longer where
``storage.maintenance.uploadpurging.age`` is longer. A configuration alone proves nothing about this host: it may
be meant for a container. So its folder counts where a registry that runs here was started with it, or the caller
says by the profile that this is the registry's host.

``DiskUsage`` sees a folder as the registry process does that writes to it, where one is found: with its user,
its capabilities, quotas and own mounts. A volume is missing where /etc/fstab or a unit of systemd wants a mount
that is not there. ``UnfinishedUploads`` lists what lies below ``_uploads``.
"""
