# SPDX-License-Identifier: MIT
"""When and where something was found: for pages and bundles. Python 3.7, nothing else."""

import os
import platform
import subprocess
import time

from pgelf import build_id


def version(command):
    """'pipeguard 0.1.0', as COMMAND says; None."""
    try:
        said = subprocess.run([command, "version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=10,
                              env={k: v for k, v in os.environ.items() if not k.startswith(("PIPEGUARD_", "LD_"))})
    except (OSError, TypeError, subprocess.SubprocessError):
        return None
    return said.stdout.decode("ascii", "replace").split("\n")[0] or None


def facts(program, command):
    """The date, the host, the kernel, our version, and PROGRAM, a path or None, with its build-id; text or None each."""
    return {"date": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()), "host": platform.node() or None,
            "kernel": "%s %s %s" % (platform.system(), platform.release(), platform.machine()),
            "pipeguard": version(command) if command else None, "program": program,
            "build_id": build_id(program) if program else None}
