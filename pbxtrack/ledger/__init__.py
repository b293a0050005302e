"""Asterisk's own records of calls, CEL and CDR files: what AMI did not tell us is in them."""
