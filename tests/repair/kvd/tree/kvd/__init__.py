"""A small store of keys and values, with a protocol of its own over TCP."""
