"""Wattcast on Kubernetes: its applications, the manifests that the Spark operator reads, and what is wrong with a manifest."""
