"""Threads of the tests, and of the processes they start.

Test processes share few cores, and models this small are slower on more threads than one.
"""

import os

# Before torch is loaded, which reads them once. Idle threads wait asleep: spinning, they would keep
# the cores from the other test processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
