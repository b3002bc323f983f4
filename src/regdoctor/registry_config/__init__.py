"""What distribution's registry makes of its configuration: the keys it knows, their types, its environment.

``schema`` is the table of keys, ``types`` how Go decodes them, ``environment`` how ``REGISTRY_`` variables change
the file, ``openness`` whom it lets in. Pure: nothing here reads a file but the table itself, and that only when it
is asked for.
"""
