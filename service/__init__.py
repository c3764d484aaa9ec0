"""HTTP: the same answers as the command and the Python calls, for many callers at once.

``catalog serve`` starts it. It needs the extra ``serve``, which nothing else imports.
"""
