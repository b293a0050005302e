"""The relay: mail to substitute addresses in, the same mail to the real mailbox out."""
