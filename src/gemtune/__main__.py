"""``python -m gemtune``."""

import sys

from gemtune.cli import main

sys.exit(main())
