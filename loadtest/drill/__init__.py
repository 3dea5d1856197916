"""What is asked while something breaks, what came back, and whether all of it is on record."""
