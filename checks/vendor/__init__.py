"""Registry products.

Products that consist of several services around the registry (Harbor, Quay, zot and others): what they say
about their own health.
"""
