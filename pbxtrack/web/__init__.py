"""What the API and the dashboard have in common: connections, clients, errors, who asks."""
