"""What the tests of tests/tools share: those of tests/python, which lie beside them."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "python"))

from support import *
