"""What one laptop needs beside the jobs: a real Kafka broker, readings to feed it, and the demo."""
