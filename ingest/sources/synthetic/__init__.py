"""Receipts of any volume from a seed: each is a pure function of the seed and its own number."""
