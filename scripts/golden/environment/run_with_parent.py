"""Runs a script that ends with the process that started it, however that one ends.

usage: run_with_parent.py PARENT SCRIPT [ARGUMENT ...]

PARENT is that process's pid, which it passes itself: os.getppid() is another's when it has ended already. A thread watches, as the
script may be in a long computation.
"""

import os
import runpy
import signal
import sys
import threading
import time


def watch(parent):
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)


parent, script, *arguments = sys.argv[1:]
threading.Thread(target=watch, args=(int(parent),), daemon=True).start()
sys.argv = [script, *arguments]
sys.path[0] = os.path.dirname(os.path.abspath(script))
runpy.run_path(script, run_name="__main__")
