"""Kubernetes manifests: how they are built, rendered and checked. Nothing here connects to a cluster."""
