"""liftcheck finds and disproves wrong code in code generators."""

__version__ = "0.1.0"
