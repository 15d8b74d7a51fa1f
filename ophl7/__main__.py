"""`python -m ophl7`: the same as the command `ophl7`."""

from ophl7.cli import main

if __name__ == "__main__":
    main()
