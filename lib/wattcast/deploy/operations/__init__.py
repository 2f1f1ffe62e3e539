"""The operations of the cluster commands: deploy, undeploy, stop, start, logs, status and single runs."""
