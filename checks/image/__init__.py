"""Images: whether the reference exists, for the platform, and every part of it is there.

The manifest is asked for by GET and HEAD with the access that was obtained; an index's children and every
blob of the wanted platforms are asked for by HEAD, the config is read. Names beside the wanted one are
listed only where it is missing.
"""
