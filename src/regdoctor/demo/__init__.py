"""The embedded registry: a small real OCI registry on loopback, healthy or with one fault."""
