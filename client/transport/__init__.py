"""Floor 1: one request, one final response, over blocking sockets."""
