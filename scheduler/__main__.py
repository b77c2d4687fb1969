"""``python -m scheduler`` is ``coterie``."""

from scheduler.cli import main

if __name__ == "__main__":
    main()
