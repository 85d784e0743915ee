"""What runs the network: OpenVINO, ONNX Runtime or PyTorch."""

from isomer.runtime.backend import Backend
from isomer.runtime.choice import BACKENDS, create_backend

__all__ = ["BACKENDS", "Backend", "create_backend"]
