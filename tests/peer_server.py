#!/usr/bin/python3
"""Runs scripts of other toolkits for a test program, each in a process of its own that has the
toolkits loaded already: loading them takes longer than most scripts run.

  peer_server.py ANSWERS

Each line of the standard input is a script with its arguments, quoted as for the shell; its exit
status (-1: a signal ended it) is a line in the open descriptor ANSWERS. Ends with its input.
"""
import os
import pathlib
import runpy
import shlex
import sys

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # threads would not live on in the scripts' processes
import numpy  # noqa: E402,F401
import PIL.Image  # noqa: E402,F401
import pydicom  # noqa: E402,F401


def play(words):
    sys.argv = words
    sys.path[0] = str(pathlib.Path(words[0]).parent)
    runpy.run_path(words[0], run_name="__main__")


def main():
    answers = int(sys.argv[1])
    os.set_inheritable(answers, False)
    requests = os.fdopen(os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for line in requests:
        child = os.fork()
        if child == 0:
            return play(shlex.split(line))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.write(answers, f"{max(status, -1)}\n".encode())
    return None


if __name__ == "__main__":
    main()
