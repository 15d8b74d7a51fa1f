"""Profiles of products: TOML files, the shipped ones beside this module. How one is read: `reading`."""
