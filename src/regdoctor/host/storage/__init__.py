"""A registry's storage on disk (the filesystem driver of CNCF distribution), read as files and never written.

``root`` recognises it, ``blobs`` knows what content there is, ``repositories`` follows links and manifests,
``verify`` hashes, and ``reading`` makes one fact of it all. The layout is that of distribution
``registry/storage/paths.go``.

Whoever may write the storage may put anything there. So symbolic links are never followed, everything is
opened without following them and read up to a bound, and only what looks like a digest is ever shown.
"""
