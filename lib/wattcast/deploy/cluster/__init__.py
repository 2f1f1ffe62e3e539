"""A Kubernetes cluster: its API client, the status of applications and servers, and waiting for a status."""
