"""The pages of docs/ that are written from measurements or from the code."""
