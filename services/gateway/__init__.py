"""The public HTTP door and acceptor of http-polling."""
