"""What goes in and comes out of the API, as pydantic models: the requests are read with them, the answers described."""
