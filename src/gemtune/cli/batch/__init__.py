"""``gemtune batch``: a file of prompts in, a file of answers out.

``command`` parses, ``output`` decides what may be written, ``session`` runs, ``bar`` shows. What the batch itself needs
is imported only when it runs, so that ``gemtune --help`` stays quick.
"""
