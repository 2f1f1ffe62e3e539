"""A process that takes locks as in a pod and tells a file what came of it, for test_leases.py.

It says its process id first. Its arguments: that file, the folder of the account, the lake, the seconds of a Lease, the names.
It holds them until SIGTERM.
"""

import logging
import os
import signal
import sys
from pathlib import Path

from wattcast.errors import exit_on_user_error
from wattcast.lake.lock_choice import choose_locks
from wattcast.lake.locks import TableHasAWriter
from wattcast.settings import Settings

said, account, lake, seconds, *names = sys.argv[1:]
stops = {signal.SIGTERM}

with open(said, "w", buffering=1, encoding="utf-8") as tell, exit_on_user_error():
    logging.basicConfig(level=logging.INFO)
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    print(os.getpid(), file=tell)
    locks = choose_locks(Settings(lake=lake), account=Path(account), lease_seconds=int(seconds))
    try:
        for name in names:
            locks.acquire(name)
    except TableHasAWriter as error:
        print(f"refused: {error}", file=tell)
        raise
    print("taken", file=tell)
    signal.sigwait(stops)
    locks.close()
    print("released", file=tell)
