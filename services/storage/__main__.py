"""`python -m services.storage`: the storage service."""

import sys

from services.kernel.run.serve import run
from services.storage.app import parts
from services.storage.settings import read

if __name__ == "__main__":
    sys.exit(run("storage", read, lambda settings: settings.shared.log_level, parts))
