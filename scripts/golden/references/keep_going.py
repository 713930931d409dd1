"""For plans of many runs: one that fails does not take the others with it."""

import contextlib
import traceback

from base_models import write_json


@contextlib.contextmanager
def fault_becomes(plan, otherwise):
    """With "keep_going" in the plan, a run that fails tells its fault on standard error and answers `otherwise` (None: nothing)."""
    try:
        yield
    except Exception:
        if not plan.get("keep_going"):
            raise
        traceback.print_exc()
        if otherwise is not None:
            write_json(otherwise)
