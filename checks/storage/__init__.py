"""Stored content.

The registry's storage read as files: links, manifests and blobs, what is damaged, what is missing, and what
garbage collection would free.
"""
