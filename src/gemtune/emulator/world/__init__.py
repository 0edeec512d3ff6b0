"""What the emulated service is made of, whichever API is in front of it: clock, models, tuning, answers, state.

It imports nothing of the emulator's other wings but ``messages``. A job is a function of time; nobody in here waits.
"""
