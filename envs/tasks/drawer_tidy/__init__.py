"""DrawerTidy: the named things into the named drawer."""
