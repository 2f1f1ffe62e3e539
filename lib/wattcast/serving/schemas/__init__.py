"""Pydantic models of requests and responses: the source of the OpenAPI document and of the Arrow types."""
