"""Where receipts come from when no till is at hand: a real data set, and a generator of any volume."""
