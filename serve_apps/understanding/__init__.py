"""A representative's sentence becomes a typed query: a deterministic grammar, no model, no clock of its own."""
