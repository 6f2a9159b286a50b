"""Scripts that measure other packages' loaders, each run by a Python that has the package.

They import nothing of this package, which that Python may not have.
"""
