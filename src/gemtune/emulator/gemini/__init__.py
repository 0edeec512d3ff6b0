"""The Gemini API: its messages, its table of routes, a handler for each method, and the face made of them.

A handler is a function of the store and one call. It never waits and knows neither HTTP nor JSON, so that it imports
``world`` and ``messages`` only. Files and batches, whose contents may be long, have folders of their own; what blocks
in there runs in a thread, as its route says. Another service lives in a folder like this one, beside it.
"""
