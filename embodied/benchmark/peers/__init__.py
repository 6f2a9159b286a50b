"""Scripts that measure the data loaders of other packages.

Each script is run by a Python interpreter that has the other package, but perhaps not
this one. It therefore imports only `timed_loading`, from its own folder, which needs the
standard library alone.
"""
