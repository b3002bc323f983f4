"""TCP: whether a connection to each address of a host opens, and how it fails where it does not.

``Connections`` holds one attempt for every address, made side by side.
"""
