"""What the host says: docker and containers configuration, trust folders, proxies, processes, mounts."""
