"""Benchmarks: ratios to a plain reference, both sides interleaved in one run."""
