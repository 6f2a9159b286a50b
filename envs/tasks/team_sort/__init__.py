"""TeamSort: two hands turn, pass on, scan and sort parcels together."""
