"""Rapport's event contracts: classes, envelope, catalogue and versions. Imports pydantic and nothing else."""
