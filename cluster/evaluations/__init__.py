"""Evaluations: the whole way through the platform held against an answer that was found another way."""
