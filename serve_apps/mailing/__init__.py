"""Receipts as messages: what they look like, where they go, and the process that sends them."""
