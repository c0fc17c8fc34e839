"""`python -m services.gateway`: the gateway."""

import sys

from services.gateway.app import parts
from services.gateway.settings import read
from services.kernel.run.serve import run

if __name__ == "__main__":
    sys.exit(run("gateway", read, lambda settings: settings.shared.log_level, parts))
