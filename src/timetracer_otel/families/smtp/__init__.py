"""SMTP and LMTP: mails and the dialogue around them, what a server that is not there says."""
