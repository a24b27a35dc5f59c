"""What is injected and asked: one task a file or folder, its data beside it."""
