"""Generates many demonstrations from few, by moving their segments to other starts.

The method is MimicGen's (Mandlekar et al. 2023, arXiv 2310.17596). A demonstration is cut
into segments, each relative to one object, its anchor: the hand approaches an object, then
carries it to its goal. In another episode the hand repeats its path relative to the anchor,
wherever the anchor is there. Episodes that succeed in simulation are kept.
"""
