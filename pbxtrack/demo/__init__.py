"""The demonstration: a real Asterisk, real SIP calls, and the advertising that each belongs to."""
