"""The file from which a batch resumes.

``lines`` says what a line is, ``file`` appends and reads them, ``index`` finds them again, ``writer`` puts results down
before they are published, ``export`` writes them out in the order of the input. It may import everything below
``batch``. Only ``writer`` may wait; the others block, and run in a thread of the writer's.
"""
