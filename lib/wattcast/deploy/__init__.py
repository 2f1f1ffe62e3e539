"""The Spark applications and servers of Wattcast on Kubernetes: manifests, deployment, rollback, and their status."""
