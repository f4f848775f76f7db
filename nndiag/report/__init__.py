"""A result for people: tables, curves, figures and pages.

Nothing is computed here beyond choosing how to write a number, and torch is never needed.
"""
