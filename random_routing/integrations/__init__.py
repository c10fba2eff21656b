"""The law in other libraries: transformers."""
