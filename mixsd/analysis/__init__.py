"""Reads finished runs: statistics, table, plots, report. Never trains."""
