"""Fixtures that tests anywhere may ask for: the real control plane, one per session, and a namespace per test."""

pytest_plugins = ("tests.controlplane.fixture",)
