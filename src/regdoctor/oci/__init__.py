"""The OCI distribution protocol without any I/O: references, challenges, tokens, manifests, uploads."""
