"""Training data in the layouts of others: what becomes of an example in Vertex AI's form, and what it loses.

It may import everything else of ``datasets`` but ``review``'s reports. It writes files and waits for nothing else.
Only ``schemas.py`` is for both directions and imports nothing, so that the reader of chats may use it as well.
"""
