"""ParcelSort: parcels of the named colours over a scanner into their bins."""
