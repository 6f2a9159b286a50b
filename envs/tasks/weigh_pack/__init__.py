"""WeighPack: weigh an item, put it into the box that the scale shows, and close it."""
