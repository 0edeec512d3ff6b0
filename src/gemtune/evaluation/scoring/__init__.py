"""From answers to figures: functions score them, judges compare them, and both come to what a model has reached.

It may know what was asked. Only metrics that wait, and nothing else in here, may wait.
"""
