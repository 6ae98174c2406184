"""threadwire: a synchronous, threaded HTTP/1.1 client."""
