"""`python -m minikimi` is the command `minikimi`."""

import sys

from minikimi.cli import main

if __name__ == "__main__":
    sys.exit(main())
