"""PourWater: pour from a bottle into a glass, up to a mark."""
