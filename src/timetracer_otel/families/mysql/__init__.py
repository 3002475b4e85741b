"""MySQL and MariaDB: what drivers and servers say to each other, recorded as exchanges, and answered from them."""
