"""``python -m gemtune.emulator``."""

import sys

from .serve import main

sys.exit(main())
