"""A real Kubernetes control plane for tests: built once from Go modules, started in seconds. See `stack.py` for the life of one."""

from tests.controlplane.programs import Settings
from tests.controlplane.stack import ControlPlane

__all__ = ["ControlPlane", "Settings"]
