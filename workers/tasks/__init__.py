"""Task bodies, one module per queue. Each is a few lines: read ids, call a use case."""
