"""Scripts that measure other packages' loaders, each run by a Python that has the package.

They import nothing of this package, which that Python may not have, but `timed_loading`,
which lies beside them and needs the standard library alone.
"""
