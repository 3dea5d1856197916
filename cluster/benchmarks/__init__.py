"""Benchmarks that need the platform: each on a private one that is gone afterwards."""
