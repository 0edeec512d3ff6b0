"""What models answer to prompts whose right answer the emulator was told: right or wrong, as well as they are trained.

``reading`` takes the rows from what was given or from a file, ``rows`` keeps them and answers. They import ``answers``
and ``surface`` of ``world``, and nobody waits in here.
"""
