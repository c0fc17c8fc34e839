"""`python -m services.signaling`: the signaling service."""

import sys

from services.kernel.run.serve import run
from services.signaling.app import parts
from services.signaling.settings import read

if __name__ == "__main__":
    sys.exit(run("signaling", read, lambda settings: settings.shared.log_level, parts))
