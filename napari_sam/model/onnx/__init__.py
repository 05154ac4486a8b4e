"""Image encoder and mask decoder for ONNX Runtime."""
