"""What RFC 9112 and a decade of attacks ask of the engine, each demand as data or as a property."""
