"""What we know: the receipt, its identity, who may see what, how text is normalised, text to vector."""
