"""Plain `invoke` starts here; the tasks are the package beside this file."""

import sys

sys.modules.pop(__name__, None)

from tasks import ns  # noqa: E402

__all__ = ["ns"]
