"""What a method is, and the losses that methods share."""
