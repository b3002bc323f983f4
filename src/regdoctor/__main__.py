"""``python -m regdoctor``: the same as the ``regdoctor`` command."""

from regdoctor.cli.main import main

if __name__ == "__main__":
    main()
