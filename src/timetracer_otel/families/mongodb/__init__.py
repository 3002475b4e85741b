"""MongoDB's wire protocol, and what PyMongo keeps of a server."""
