"""``gemtune evaluate``: models beside each other on examples that none of them was trained on.

``command`` parses and checks what can be checked without a service, ``session`` asks, ``progress`` shows how far it is,
``output`` writes what came out.
"""
