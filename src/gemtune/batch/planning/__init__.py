"""What a batch will take before anything is spent: tokens, time, money, and which engine is the right one.

``weighing`` passes through the rows once and asks nobody. ``outlook`` says what each engine would need for that.
``decision`` chooses between them: a pure function, with its whole table in its docstring. ``plan`` is the value that
comes out, ``planned`` the part of a batch that makes one. ``prices`` holds what the user says tokens cost.

It may import everything of ``batch`` but ``engines`` and ``inferencer``. Only ``planned`` may wait.
"""
