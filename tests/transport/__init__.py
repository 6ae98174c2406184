"""Floor 1: pool, connections, and the roads to the server."""
