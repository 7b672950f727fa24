"""Which distributions an image carries: asked of the lock file, through uv, as the Dockerfile asks it."""

import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from packaging.pylock import Pylock

from rapport_cli.running.state import SERVICES

CHECKOUT: Final = Path(__file__).parents[5]
"""The root of a source checkout."""

IMAGES: Final[Mapping[str, str]] = {**{name: name for name in SERVICES}, "workbench": "rapport-stack"}
"""Package by image."""

INSIDE: Final = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.0",
    "python_version": "3.11",
    "sys_platform": "linux",
}
"""Environment markers (PEP 508) inside an image, so that the answer is the same on every machine."""


def carried(image: str) -> dict[str, str]:
    """Version by distribution of an image, without our own. Raises CalledProcessError where uv refuses."""
    return _locked("--package", IMAGES[image], "--no-dev")


def all_locked() -> dict[str, str]:
    """The same of everything, development included."""
    return _locked("--all-packages", "--all-extras", "--all-groups")


def _locked(*whose: str) -> dict[str, str]:
    uv = shutil.which("uv") or str(CHECKOUT / ".uv/bin/uv")  # as the Makefile finds it
    exported = subprocess.run(  # noqa: S603 - our own command
        [uv, "export", *whose, "--frozen", "--no-emit-workspace", "--format", "pylock.toml", "--quiet"],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return {
        package.name: str(package.version)
        for package in Pylock.from_dict(tomllib.loads(exported.stdout)).packages
        if package.marker is None or package.marker.evaluate(INSIDE)
    }
