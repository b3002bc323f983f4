"""Security posture.

What strangers may do with the registry, how credentials travel, and how the host keeps its secrets.
"""
