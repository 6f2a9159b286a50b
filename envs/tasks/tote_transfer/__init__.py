"""ToteTransfer: a named tote off a belt into a named rack slot."""
