"""What pyproject.toml cannot say: the folder kernels/ is imported as minikimi_kernels, never as `kernels`.

That name belongs to a Hugging Face package. Everything else about the distribution stands in pyproject.toml.
"""

from setuptools import find_namespace_packages, setup

found = find_namespace_packages(include=["minikimi", "minikimi.*", "kernels", "kernels.*"], exclude=["*__pycache__"])

setup(
    packages=[f"minikimi_{name}" if name.startswith("kernels") else name for name in found],
    package_dir={"minikimi_kernels": "kernels"},
)
