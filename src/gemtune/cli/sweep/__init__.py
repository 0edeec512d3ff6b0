"""``gemtune sweep``: many hyperparameters, one best model.

``command`` parses, ``space`` says what is tried, ``session`` runs and follows it, ``lines`` shows it where nothing can
be drawn, ``ending`` says what came out and what to type next.
"""
