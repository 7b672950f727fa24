"""Become another program that dies with the process that started it.

Run as `python -I -S tether.py PARENT-PID PROGRAM ARGUMENT...`. The kernel kills the program when the thread
that forked it ends (prctl(2), PR_SET_PDEATHSIG), so that not even kill -9 of the parent leaves it behind.
A program of its own instead of subprocess's preexec_fn, which is unsafe beside threads. Imports little,
because it stands before every start.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

parent, *command = sys.argv[1:]
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() != int(parent):  # it died before the line above
    sys.exit(1)
try:
    os.execvp(command[0], command)  # noqa: S606 - its caller chooses the program
except OSError as error:
    sys.exit(f"cannot run {command[0]}: {error.strerror}")
