"""Reading rows of any shape, for training data and for prompts alike.

It knows files, tables and iterables, and nothing of what a row is for. It may import errors and checks.
"""
