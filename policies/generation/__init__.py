"""Many demonstrations from few: their segments, taken along to other starts.

The idea is MimicGen's (Mandlekar et al. 2023, arXiv 2310.17596). A demonstration is cut
into segments, each about one object: the hand on its way to an object that it takes, and
with it on its way to where that is brought. In another episode the hand does what it did
relative to the object, wherever that now is. What succeeds in simulation is kept.
"""
