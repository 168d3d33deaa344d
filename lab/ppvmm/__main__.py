import sys

from ppvmm.cli import main

sys.exit(main())
