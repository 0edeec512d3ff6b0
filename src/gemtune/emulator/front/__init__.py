"""The HTTP side of the emulator: reading requests, admitting them, delivering replies, the request log, control."""
