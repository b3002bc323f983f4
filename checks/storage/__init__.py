"""Stored content.

The registry's storage read as files: links, manifests and blobs, what is damaged, what is missing, and what
garbage collection would free.

``StorageContent`` is read by two commands. ``regdoctor fsck PATH`` reads everything, ``check --storage DIR`` only
what the target's image needs: its tag's link, its manifests, and whether their blobs are there and linked. What
seems wrong is looked at once more before it counts, so that a push or a deletion that goes on meanwhile is no
finding. ``StorageCoverage`` is there only where everything could be read: what garbage collection would free is
not to be known otherwise. Bytes are hashed with ``--verify`` (``--verify-blobs`` of ``check``), and without it
those of manifests and of blobs whose size is wrong.

``LostBlobAnswers`` asks the registry for blobs that its storage has lost, or that came without their bytes: one
that says it has them lives on an outdated cache.
"""
