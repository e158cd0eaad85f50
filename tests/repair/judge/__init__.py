"""What `verify.py` is made of: strict diffs, a small gate, probes, and services that run as real processes."""
