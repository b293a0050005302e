"""E-mails as contacts: whose an address is, what kind of message came, what is told of it. Pure."""
