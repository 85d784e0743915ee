"""What runs the network: OpenVINO, ONNX Runtime or PyTorch."""

from isomer.runtime.backend import Backend
from isomer.runtime.choice import create_backend

__all__ = ["Backend", "create_backend"]
