"""`python -m napari_seggpt` is the command line."""

import sys

from napari_seggpt.cli import main

if __name__ == "__main__":
    sys.exit(main())
