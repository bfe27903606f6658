"""What pyproject.toml cannot say: which folder becomes which package.

kernels/ is imported as minikimi_kernels, never as `kernels`: that name belongs to a Hugging Face package. notebooks/
goes into the wheel as minikimi/_notebooks, so that the lessons come with the library; `minikimi.files.NOTEBOOKS` finds
them there, or in a checkout. Everything else about the distribution stands in pyproject.toml.
"""

from setuptools import find_namespace_packages, setup

found = find_namespace_packages(include=["minikimi", "minikimi.*", "kernels", "kernels.*"], exclude=["*__pycache__"])

setup(
    packages=[*(f"minikimi_{name}" if name.startswith("kernels") else name for name in found), "minikimi._notebooks"],
    package_dir={"minikimi_kernels": "kernels", "minikimi._notebooks": "notebooks"},
)
