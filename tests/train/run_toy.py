"""Run the toy training in a process of its own, so that it can be killed.

Usage: run_toy.py FOLDER [--kill-at STEP] [--signal NAME] [--group] [setting=value ...]
"""

import argparse
import os
import signal
from pathlib import Path

import torch
import yaml
from toy import toy_fit


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kill-at", type=int, default=-1)
    parser.add_argument("--signal", default="SIGKILL")
    parser.add_argument("--group", action="store_true", help="signal the process group")
    parser.add_argument("settings", nargs="*")
    given = parser.parse_intermixed_args()
    torch.set_num_threads(1)

    def progress(step, steps, metrics):
        if step == given.kill_at:
            name = signal.Signals[given.signal]
            if given.group:
                os.killpg(0, name)
            else:
                os.kill(os.getpid(), name)

    settings = {key: yaml.safe_load(value) for key, value in (x.split("=") for x in given.settings)}
    result = toy_fit(given.folder, progress=progress, **settings)
    print(result.step, result.stopped_by)


if __name__ == "__main__":
    main()
