"""`python -m rapport_cli.documents [--check]`: write the generated documents, or say what is not current."""

import sys
from collections.abc import Sequence

from rapport_cli.documents.generated import differences, generate, write
from rapport_cli.documents.house import House


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0 written or current, 1 something differs, 2 called wrongly."""
    match arguments:
        case []:
            write(generate(House.load()))
            return 0
        case ["--check"]:
            found = list(differences(generate(House.load())))
            sys.stderr.writelines(f"{each}\n" for each in found)
            if found:
                sys.stderr.write("The documents are not those of the code. Write them anew: make docs\n")
            return 1 if found else 0
        case _:
            sys.stderr.write("usage: python -m rapport_cli.documents [--check]\n")
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
