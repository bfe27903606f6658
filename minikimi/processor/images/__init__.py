"""Images: from any file a user gives to packed patches. Untrusted pictures end in `open_image` (lessons 01 and 09)."""

from minikimi.processor.images.open_image import open_image
from minikimi.processor.images.processing import ImageProcessor

__all__ = ["ImageProcessor", "open_image"]
