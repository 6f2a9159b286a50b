"""The reference dual system that learns from pictures, an instruction and
proprioception.
"""
