"""What goes wrong: faults that a test plants, quotas and overload, replicas that lag.

Each is a decision that takes the time and the dice as arguments, so that a run can be repeated. It imports ``world``
and ``messages``; the waiting that a decision asks for is done on the emulator's clock.
"""
