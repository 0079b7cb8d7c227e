"""The reference interpreter: what a program means, in one world or in several.

The one idea: two tiers (closures of cached recipes, then one Python function a hot function) run the same steps, which
follow from the meanings; what CLIF leaves open is chosen by a world that stands in the place of the memory.
"""
