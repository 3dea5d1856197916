"""Benchmarks: a closed-loop HTTP driver, the naked peer to compare with, and the report all of them print."""
