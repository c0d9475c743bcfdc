"""The command ``python -m txhixie``, the same as ``txhixie``."""

from .cli.main import main

if __name__ == "__main__":
    main()
