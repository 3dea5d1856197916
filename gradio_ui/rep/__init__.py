"""What the reps' page does: finding receipts, opening them, mailing them, and who bought."""
