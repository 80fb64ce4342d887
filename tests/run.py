"""Runs the tests that are not written in Rust, and ends with a line `N passed, N failed`.

    CALLBOARD_BIN=target/debug/callboard python tests/run.py [peers] [page]
"""

import os
import sys
import unittest
from pathlib import Path

TESTS = Path(__file__).resolve().parent


def main():
    chosen = sys.argv[1:] or ["peers", "page"]
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]  # everything is on the loopback interface
    sys.path.insert(0, str(TESTS))
    suite = unittest.TestSuite(
        unittest.defaultTestLoader.discover(str(TESTS / part), top_level_dir=str(TESTS)) for part in chosen
    )
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    passed = result.testsRun - failed - len(result.skipped)
    print(f"{max(0, passed)} passed, {failed} failed" + (f", {len(result.skipped)} skipped" if result.skipped else ""), flush=True)
    return 0 if failed == 0 and passed > 0 and not result.skipped else 1


if __name__ == "__main__":
    sys.exit(main())
