"""What the caller of ``client.sweep`` asked for: the arguments, and the checked value that they become."""

from __future__ import annotations
