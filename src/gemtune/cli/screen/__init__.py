"""What a terminal with rich shows: colours, tables, curves over each other.

Everything here turns pictures (``show.picture``) into lines; nothing waits, and nothing asks the service. The lines are
put on the terminal by ``show.live``, as those of a plain installation are. rich's own Live is not used: it counts the
lines that it drew and goes up by as many, so that lines stay behind when a window becomes narrower and the terminal
wraps them, and it draws from a thread.

Nothing outside imports this but ``cli.drawing``, and only once there is something to draw; nothing but this imports
rich.
"""
