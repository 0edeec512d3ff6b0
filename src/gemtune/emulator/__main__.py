"""``python -m gemtune.emulator``."""

import sys

from gemtune.emulator.serve import main

sys.exit(main())
