"""It is proved: Locust journeys and benchmarks against peers."""
