"""What is known about registries: one folder an area, each with its probe, its rules and its texts."""
