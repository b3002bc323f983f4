"""Renderers: one module a format, each with a pure ``render(report, options)`` that returns bytes.

:mod:`regdoctor.report.formats` names them; a renderer and its libraries are imported when it is used.
"""
