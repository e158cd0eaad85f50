"""Collects measurements over UDP and tells about the last seconds over HTTP."""
