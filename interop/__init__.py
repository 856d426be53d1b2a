"""Interoperation checks: other people's clients and servers against port21, judged by the bytes on disk."""
