"""Reading rows of any shape, for training data and for prompts alike.

It knows files, tables and iterables, what makes rows of our own values, and nothing of what a row is for. It may import
errors and checks.
"""
