"""What people look at: loss curves, tables and live progress, made of characters.

Everything here turns values into lines of text. The one object that writes is ``terminal.Live``, and what it writes to
is handed to it, so that a golden screen is a plain test. Imports nothing but ``events``; nothing here waits. Whatever
comes from the service or a model passes ``terminal.printable`` on its way to a terminal.
"""
