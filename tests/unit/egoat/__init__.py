"""The command's pure parts."""
