"""What clients get, word by word, as files: `python -m tests.snapshots.renew` writes them anew."""
