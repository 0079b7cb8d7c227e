"""Cranelift of any version: its sources, builds of a bridge in Rust, and the process that drives one."""
