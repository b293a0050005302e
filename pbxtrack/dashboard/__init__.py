"""The manager's desk: pages for people, made on the server."""
