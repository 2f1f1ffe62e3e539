"""The Helm chart of k8s/helm, written from the documents of the overlay `prod`."""
