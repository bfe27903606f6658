"""What authors of lessons run: notebooks from their sources, the website, the generated parts of docs/teaching.md."""
