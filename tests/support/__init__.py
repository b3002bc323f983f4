"""Real servers, networks and certificates that the tests start, break and remove again."""
