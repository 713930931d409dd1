"""Runs scripts in forks of a process that has imported the libraries, so that the seconds of that are spent once.

usage: warm_python.py SOCKET FOLDER MODULE...

Listens on a Unix socket and imports the modules, those in FOLDER among them. A request is a line of JSON, {"arguments": [script,
...], "stdout": file, "stderr": file}; it is answered by a line {"code": exit code, "cpu_seconds": of its process}, or by nothing when
that was killed. Each request has a process of its own, and they run at once. Ends when standard input does.
"""

import importlib
import json
import os
import resource
import runpy
import select
import signal
import socket
import sys
import traceback


def run(arguments, stdout, stderr):
    """The script's exit code, as the interpreter would give it."""
    for file, descriptor in ((stdout, 1), (stderr, 2)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    sys.argv = list(arguments)
    sys.path[0] = os.path.dirname(arguments[0])
    try:
        runpy.run_path(arguments[0], run_name="__main__")
        code = 0
    except SystemExit as exit:
        if isinstance(exit.code, str):
            print(exit.code, file=sys.stderr)
        code = exit.code if isinstance(exit.code, int) else int(exit.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def answer(connection):
    # The child's own children are waited for as usual.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    with connection.makefile("rw") as stream:
        code = run(**json.loads(stream.readline()))
        used = resource.getrusage(resource.RUSAGE_SELF)
        stream.write(json.dumps({"code": code, "cpu_seconds": used.ru_utime + used.ru_stime}) + "\n")
        stream.flush()
    os._exit(0)


path, folder, *modules = sys.argv[1:]
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen(64)
# Who connects from now on waits for the imports.
print("listening", flush=True)
sys.path.append(folder)
for module in modules:
    importlib.import_module(module)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    ready, _, _ = select.select([server, sys.stdin], [], [])
    if sys.stdin in ready:
        break
    connection, _ = server.accept()
    if os.fork() == 0:
        server.close()
        answer(connection)
    connection.close()
# Without the seconds that the libraries take to end.
os._exit(0)
