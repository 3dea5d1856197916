"""People look: the portal of the customer service reps."""
