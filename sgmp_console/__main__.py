"""`python -m sgmp_console` is `sgmp-console`."""

import sys

from sgmp_console.cli import main

sys.exit(main())
