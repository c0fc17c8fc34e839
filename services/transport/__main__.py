"""`python -m services.transport`: the transport service."""

import sys

from services.kernel.run.serve import run
from services.transport.app import parts
from services.transport.settings import read

if __name__ == "__main__":
    sys.exit(run("transport", read, lambda settings: settings.shared.log_level, parts))
