"""The data of the tuning tutorial for the Gemini API (ai.google.dev, "model-tuning/rest"): say the next number."""

from __future__ import annotations

from typing import Final

BASE_MODEL: Final = "models/gemini-1.0-pro-001"
VERTEX_BASE_MODEL: Final = "gemini-2.5-flash"
DISPLAY_NAME: Final = "number generator model"
EPOCHS: Final = 5
BATCH_SIZE: Final = 2
LEARNING_RATE: Final = 0.001
MULTIPLIER: Final = 1.0
"""What Vertex AI has in place of the learning rate; the batch size is its own affair there."""

EXAMPLES: Final = (
    ("1", "2"),
    ("3", "4"),
    ("-3", "-2"),
    ("twenty two", "twenty three"),
    ("two hundred", "two hundred one"),
    ("ninety nine", "one hundred"),
    ("8", "9"),
    ("-98", "-97"),
    ("1,000", "1,001"),
    ("10,100,000", "10,100,001"),
    ("thirteen", "fourteen"),
    ("eighty", "eighty one"),
    ("one", "two"),
    ("three", "four"),
    ("seven", "eight"),
)

PROMPTS: Final = ("LXIII", "六")
