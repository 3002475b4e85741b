"""A small shop on Django: products, members who log in, orders in transactions."""
