"""``timetracer export``: cassettes in the forms of other tools. What such a form cannot hold is left out, and said."""
